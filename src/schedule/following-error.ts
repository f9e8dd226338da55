import { commandQuantity, type ActionJoint } from '../config/config.js';
import type { MeasuredPositions } from '../frame/frame.js';
import type { CommandHistory } from './command-history.js';

/** A controller may follow its commands this late, ns. */
const MAX_LAG = 250_000_000n;
/** The distances that velocity joints cover in this time are compared, ns. */
const VELOCITY_WINDOW = 500_000_000n;
/** Lags of velocity joints are tried in steps of this, ns. */
const LAG_STEP = 25_000_000n;

/** How far back commands are needed, apart from the age of a measurement, ns. */
export const FOLLOWING_MEMORY = MAX_LAG + VELOCITY_WINDOW;

/**
 * How far each joint is from where its commands should have brought it.
 *
 * A position joint: the distance of the measured position from the nearest one that was commanded during the last `MAX_LAG`
 * before the measurement. A velocity joint: the distance that it covered in `VELOCITY_WINDOW`, compared with the commanded
 * one, at the lag up to `MAX_LAG` for which they agree best. So the lag of a controller is no error, but a joint that is
 * blocked, pushed away or not connected is one.
 */
export class FollowingError {
  readonly #joints: readonly ActionJoint[];
  readonly #hasVelocities: boolean;
  /** The measurements since the last `reset`, oldest first, back to `VELOCITY_WINDOW` before the newest. */
  #measured: MeasuredPositions[] = [];

  constructor(joints: readonly ActionJoint[]) {
    this.#joints = joints;
    this.#hasVelocities = joints.some((joint) => commandQuantity(joint) === 'velocity');
  }

  /** Forgets the measurements. Call this when the robot is stopped. */
  reset(): void {
    this.#measured = [];
  }

  /** @returns [action joints] errors in the robot's units, at least 0; 0 for grippers and where nothing is known. */
  update(measured: MeasuredPositions, history: CommandHistory, now: bigint): Float64Array {
    const reference = this.#hasVelocities ? this.#reference(measured) : undefined;
    return Float64Array.from(this.#joints, (joint, j) => {
      const position = measured.positions[j]!;
      if (joint.gripper || joint.maxFollowingError === Infinity || Number.isNaN(position)) return 0;
      if (commandQuantity(joint) === 'position') {
        const range = history.range(j, measured.stamp - MAX_LAG, now);
        return range === undefined ? 0 : Math.max(0, range.lowest - position, position - range.highest);
      }
      const from = reference?.positions[j] ?? NaN;
      if (Number.isNaN(from)) return 0;
      return velocityError(position - from, j, reference!.stamp, measured.stamp, history, now);
    });
  }

  /** Remembers the measurement. @returns the newest one that is at least `VELOCITY_WINDOW` older. */
  #reference(measured: MeasuredPositions): MeasuredPositions | undefined {
    const kept = this.#measured;
    if (kept.length === 0 || measured.stamp > kept.at(-1)!.stamp) kept.push(measured);
    const oldest = measured.stamp - VELOCITY_WINDOW;
    while (kept.length > 1 && kept[1]!.stamp <= oldest) kept.shift();
    return kept[0]!.stamp <= oldest ? kept[0] : undefined;
  }
}

function velocityError(
  covered: number,
  j: number,
  from: bigint,
  to: bigint,
  history: CommandHistory,
  now: bigint,
): number {
  let lowest = Infinity;
  let highest = -Infinity;
  // A negative lag: the clock of the measurement is behind.
  const first = to < now ? to - now : 0n;
  for (let lag = first; lag <= MAX_LAG; lag += LAG_STEP) {
    const commanded = history.distance(j, from - lag, to - lag);
    lowest = Math.min(lowest, commanded);
    highest = Math.max(highest, commanded);
  }
  return Math.max(0, lowest - covered, covered - highest);
}
