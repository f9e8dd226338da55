import type { ActionJoint, PolicyConfig } from '../config/config.js';
import { toSeconds } from '../time.js';
import { clamp } from './limits.js';

/**
 * The ramp after an activation or a stop (`schedule.blend_in`): velocities are scaled by a factor that rises from 0 to 1, positions
 * move from where the robot starts to those of the plan with the same factor. Grippers are not blended. It comes before the limits.
 */
export class BlendIn {
  readonly #joints: readonly ActionJoint[];
  /** Seconds; 0 = off. */
  readonly #duration: number;
  /** Seconds between ticks. */
  readonly #period: number;
  /** Time of the first step, ns, and [action joints] the positions there (NaN where unknown). */
  #start: { readonly time: bigint; readonly positions: Float64Array } | undefined;

  constructor({ action, controlRate, schedule }: PolicyConfig) {
    this.#joints = action.joints;
    this.#duration = toSeconds(schedule.blendIn);
    this.#period = 1 / controlRate;
  }

  /** The step at `now` is the first one. @param positions [action joints] where the robot is. */
  start(now: bigint, positions: Float64Array): void {
    this.#start = this.#duration > 0 ? { time: now, positions } : undefined;
  }

  /** @param row [action joints] of the plan. @returns what is wanted instead; the row itself after the ramp. */
  apply(now: bigint, row: Float64Array): Float64Array {
    if (this.#start === undefined) return row;
    const { time, positions } = this.#start;
    const factor = (toSeconds(now - time) + this.#period) / this.#duration;
    if (factor >= 1) return row;
    return row.map((value, j) => {
      const { kind, gripper, maxVelocity, lower, upper } = this.#joints[j]!;
      if (gripper) return value;
      if (kind === 'velocity') return factor * clamp(value, -maxVelocity, maxVelocity);
      const from = positions[j]!;
      return Number.isNaN(from) ? value : from + factor * (clamp(value, lower, upper) - from);
    });
  }
}
