import type { ActionJoint, PolicyConfig } from '../config/config.js';
import { clamp } from './limits.js';
import type { Plan } from './modes/mode.js';
import type { LastCommand } from './motion.js';

/** What the merge of a chunk does to the motion. */
export interface Seam {
  /** Time of the first step of the new plan, ns. */
  readonly time: bigint;
  /**
   * The largest change, over all joints but grippers, from the last command to that step, before the limits. 1 = what one control
   * period allows: `max_velocity` for positions, `max_acceleration` for velocities. What is more is smoothed by the limits.
   */
  readonly jump: number;
  /** The joint with that change; '' where no joint is limited. */
  readonly joint: string;
  /**
   * Root mean square, over the steps that both have and the joints, of what the new plan wants minus what the plan before wanted for
   * the same instants, relative to the same; undefined where nothing was left of that plan.
   */
  readonly disagreement: number | undefined;
}

/** The seams and the smoothness of what was commanded since the activation. */
export interface MotionQuality {
  readonly seams: number;
  /** Undefined before the first seam. */
  readonly lastJump: number | undefined;
  readonly maxJump: number | undefined;
  /** The joint of the largest jump. */
  readonly maxJumpJoint: string;
  /** Root mean square of the seams' disagreements; undefined where there were none. */
  readonly disagreement: number | undefined;
  /**
   * Second difference of the commanded velocities (for positions: of their rate of change) over the square of the control period, in
   * the robot's units per s³, over all joints but grippers: root mean square and largest magnitude; 0 before the first command.
   */
  readonly jerkRms: number;
  readonly jerkMax: number;
  /** Control ticks with nothing new: the robot held after its first plan. */
  readonly idleSteps: number;
}

/** Measures the seams between chunks and the jerk of the commands. */
export class SeamMeter {
  readonly #joints: readonly ActionJoint[];
  /** Indices of the joints that are measured: all but grippers. */
  readonly #measured: readonly number[];
  /** Seconds between ticks. */
  readonly #period: number;
  /** The disagreement of a plan none of whose steps was executed yet. */
  #merged: { readonly disagreement: number | undefined } | undefined;
  /** A step was commanded since the robot was at rest; before that there is nothing to continue. */
  #moving = false;
  #last: Seam | undefined;
  #largest: Seam | undefined;
  #seams = 0;
  /** Sum and number of the squared disagreements. */
  #disagreements = { sum: 0, count: 0 };
  /** [action joints] the velocities of the last two commands, newest first; none where the robot was at rest. */
  #velocities: readonly Float64Array[] = [];
  #jerk = { sum: 0, count: 0, max: 0 };
  #idleSteps = 0;

  constructor({ action, controlRate }: PolicyConfig) {
    this.#joints = action.joints;
    this.#measured = [...this.#joints.keys()].filter((j) => !this.#joints[j]!.gripper);
    this.#period = 1 / controlRate;
  }

  get quality(): MotionQuality {
    const { sum, count, max } = this.#jerk;
    return {
      seams: this.#seams,
      lastJump: this.#last?.jump,
      maxJump: this.#largest?.jump,
      maxJumpJoint: this.#largest?.joint ?? '',
      disagreement: rootMean(this.#disagreements),
      jerkRms: rootMean({ sum, count }) ?? 0,
      jerkMax: max,
      idleSteps: this.#idleSteps,
    };
  }

  reset(): void {
    this.#merged = this.#last = this.#largest = undefined;
    this.#seams = this.#idleSteps = 0;
    this.#disagreements = { sum: 0, count: 0 };
    this.#jerk = { sum: 0, count: 0, max: 0 };
    this.rest();
  }

  /** The motion has ended: the next command starts from rest, and its step is no seam. */
  rest(): void {
    this.#velocities = [];
    this.#merged = undefined;
    this.#moving = false;
  }

  /** `next` replaces `previous`, of which nothing may be left. */
  merge(previous: Plan | undefined, next: Plan): void {
    this.#merged = { disagreement: previous && this.#disagreement(previous, next) };
  }

  /**
   * Call this before each step is commanded. @param row [action joints] of the plan.
   * @param last undefined where the robot is at rest. @returns the seam, if this is the first step of a new plan.
   */
  step(time: bigint, row: Float64Array, last: LastCommand | undefined): Seam | undefined {
    const merged = this.#merged;
    this.#merged = undefined;
    const continues = this.#moving;
    this.#moving = true;
    if (merged === undefined || last === undefined || !continues) return undefined;
    let jump = 0;
    let joint = '';
    for (const j of this.#measured) {
      const config = this.#joints[j]!;
      const { kind, lower, upper, maxVelocity } = config;
      const from = kind === 'velocity' ? last.velocities[j]! : last.positions[j]!;
      const [low, high] = kind === 'velocity' ? [-maxVelocity, maxVelocity] : [lower, upper];
      const relative = Math.abs(clamp(row[j]!, low, high) - from) / this.#allowed(config);
      if (relative > jump) [jump, joint] = [relative, config.name];
    }
    this.#last = { time, jump, joint, disagreement: merged.disagreement };
    if (this.#largest === undefined || jump > this.#largest.jump) this.#largest = this.#last;
    this.#seams++;
    if (merged.disagreement !== undefined) {
      this.#disagreements.sum += merged.disagreement ** 2;
      this.#disagreements.count++;
    }
    return this.#last;
  }

  /** @param velocities [action joints] of the command that was sent. @param idle whether it was a hold for lack of a step. */
  command(velocities: Float64Array, idle: boolean): void {
    if (idle) this.#idleSteps++;
    const [before, twoBefore] = this.#velocities;
    for (const j of this.#measured) {
      const change = velocities[j]! - 2 * (before?.[j] ?? 0) + (twoBefore?.[j] ?? 0);
      const jerk = change / this.#period ** 2;
      this.#jerk.sum += jerk ** 2;
      this.#jerk.count++;
      this.#jerk.max = Math.max(this.#jerk.max, Math.abs(jerk));
    }
    this.#velocities = before === undefined ? [velocities] : [velocities, before];
  }

  #disagreement(previous: Plan, next: Plan): number | undefined {
    const rows = Math.min(previous.chunk.rows - previous.nextRow, next.chunk.rows - next.nextRow);
    const columns = this.#joints.length;
    const total = { sum: 0, count: 0 };
    for (let row = 0; row < rows; row++) {
      for (const j of this.#measured) {
        const wanted = next.chunk.values[(next.nextRow + row) * columns + j]!;
        const before = previous.chunk.values[(previous.nextRow + row) * columns + j]!;
        total.sum += ((wanted - before) / this.#allowed(this.#joints[j]!)) ** 2;
        total.count++;
      }
    }
    return rootMean(total);
  }

  /** The change of a value of the plan that one period allows. */
  #allowed(joint: ActionJoint): number {
    return (joint.kind === 'velocity' ? joint.maxAcceleration : joint.maxVelocity) * this.#period;
  }
}

function rootMean({ sum, count }: { readonly sum: number; readonly count: number }): number | undefined {
  return count === 0 ? undefined : Math.sqrt(sum / count);
}
