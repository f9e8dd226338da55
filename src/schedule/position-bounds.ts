import type { MeasuredPositions } from '../frame/frame.js';
import type { CommandHistory } from './command-history.js';
import { clamp } from './limits.js';

/** Where a joint is at least and at most. */
export interface Bounds {
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Where velocity joints will be when everything that was commanded is executed: the measured position plus the commanded
 * distance since its stamp, where each command may take effect up to `delay` late. The delay is not known, so this is a
 * range. From tick to tick it moves by the commanded distance and only becomes narrower, unless a measurement contradicts it:
 * a range that grew in the middle of braking would make the braking too late.
 */
export class PositionBounds {
  readonly #bounds = new Map<number, Bounds>();
  #updatedAt = 0n;

  /** @param delay of the control loop, ns. */
  constructor(private readonly delay: bigint) {}

  /** Forgets everything. Call this when the robot is stopped. */
  reset(): void {
    this.#bounds.clear();
  }

  /** The bounds of the velocity joints at `now`. @param joints indices of the joints. */
  update(joints: readonly number[], measured: MeasuredPositions, history: CommandHistory, now: bigint): void {
    const stamp = measured.stamp < now ? measured.stamp : now;
    for (const j of joints) {
      const executed = measured.positions[j]! + history.distance(j, stamp, now);
      const delayed = history.distances(j, stamp - this.delay, stamp);
      const lowest = executed + delayed.lowest;
      const highest = executed + delayed.highest;
      const previous = this.#bounds.get(j);
      const moved = previous === undefined ? 0 : history.distance(j, this.#updatedAt, now);
      this.#bounds.set(
        j,
        previous === undefined
          ? { lowest, highest }
          : {
              lowest: clamp(previous.lowest + moved, lowest, highest),
              highest: clamp(previous.highest + moved, lowest, highest),
            },
      );
    }
    this.#updatedAt = now;
  }

  /** NaN where the position is not known. */
  of(j: number): Bounds {
    return this.#bounds.get(j) ?? { lowest: NaN, highest: NaN };
  }
}
