import { type ActionJoint, commandQuantity, type PolicyConfig } from '../config/config.js';
import { type JointMotion, limitPosition } from '../schedule/limits.js';
import { tickPeriod, toSeconds } from '../time.js';

/** Measured joint positions. */
export interface Measured {
  /** [action joints] in the robot's units; NaN where a position is not needed. */
  readonly positions: Float64Array;
  /** ns since the oldest of them was measured; grippers do not count. */
  readonly age: bigint;
  /** How far the age of a joint is beyond its maximum, ns, of the joint with the most; negative where none is. */
  readonly overdue: bigint;
}

/** Commands that may come faster than the control rate, one after the other: both processes may be delayed by the system. */
const BURST = 3n;

/** Rounding in the arithmetic of the limits, relative to 1 plus the size of the value. */
const ROUNDING = 1e-9;

/** The guard and the policy read joint positions at different times and with noise: part of the joint's range, or of 1. */
const MEASUREMENT_TOLERANCE = 1e-3;

/**
 * Checks commands against the limits of their joints and the control rate. The policy applies the same limits, so a right
 * command passes; a command is never changed. Commands are compared with the last one that was sent. Two checks use
 * measured positions, which may differ from those that the policy used, and are less strict than the policy's:
 * - A first position, after a start or a stop, may be as far from the measured one as the joint moves in the age of a
 *   measurement and one period. The velocity that it implies is not known, so the acceleration of the next one is not checked.
 * - A velocity must allow the joint to brake before its position limit, from where it was measured and has moved since at the
 *   last velocity. The period that the policy keeps in reserve is not required. So a wrong policy may move a joint past its
 *   limit by what it moves in two periods and in the time between two calls of `checkMotion`.
 * Braking harder than `maxAcceleration` is allowed for velocities and integrated velocities. Checks that need a measured
 * position are left out where it is unknown; the guard lets that happen in lock-step only.
 */
export class LimitCheck {
  readonly #joints: readonly ActionJoint[];
  /** Between commands, ns. */
  readonly #period: bigint;
  /** Longest use of a measured position, s: its largest age and one period. */
  readonly #reachTime: number;
  readonly #lockstep: boolean;
  /** [action joints] positions and velocities of the last command sent; a velocity is NaN where it is not known. */
  #last: readonly JointMotion[] | undefined;
  /** When the next command is due at the control rate, ns. */
  #due = 0n;

  constructor({ action, controlRate, schedule, state }: PolicyConfig) {
    this.#joints = action.joints;
    this.#period = tickPeriod(controlRate);
    this.#reachTime = toSeconds(state.maxAge + 2n * this.#period);
    this.#lockstep = schedule.lockstep;
  }

  /** Call this after a stop: the next command starts from the measured positions. */
  reset(): void {
    this.#last = undefined;
  }

  /** Call this when the clock of the control ticks went back. */
  restartRate(): void {
    this.#due = 0n;
  }

  /**
   * Remembers the command as sent where it breaks no limit.
   * @param values [action joints]. @param now ns on the clock of the control ticks. @param measured undefined where unknown.
   * @returns a sentence about the first limit that it breaks; undefined where it breaks none.
   */
  checkCommand(values: Float64Array, now: bigint, measured: Measured | undefined): string | undefined {
    if (values.length !== this.#joints.length) {
      return `Expected ${this.#joints.length} values in a command, received ${values.length}`;
    }
    const motions: JointMotion[] = [];
    for (const [j, joint] of this.#joints.entries()) {
      const value = values[j]!;
      if (!Number.isFinite(value)) return `Expected a finite command for ${joint.name}, received ${value}`;
      const last = this.#last?.[j];
      const position = measured?.positions[j] ?? NaN;
      const isVelocity = commandQuantity(joint) === 'velocity';
      const problem = isVelocity
        ? (this.#checkVelocity(value, joint, last) ?? this.#checkDistance(value, joint, last, position, measured))
        : this.#checkPosition(value, joint, last, position);
      if (problem !== undefined) return problem;
      motions.push(isVelocity ? { position, velocity: value } : this.#motion(value, last));
    }
    const problem = this.#checkRate(now);
    if (problem === undefined) this.#last = motions;
    return problem;
  }

  /**
   * As `checkCommand`, for the positions that a controller reaches by itself after the last command. Nothing is remembered.
   * @param rows [periods][action joints]. @param columns the joints that are checked.
   */
  checkFollowing(rows: readonly Float64Array[], columns: readonly number[]): string | undefined {
    const motions = [...(this.#last ?? [])];
    for (const [index, values] of rows.entries()) {
      if (values.length !== this.#joints.length) {
        return `Expected ${this.#joints.length} values in row ${index + 1} of a trajectory, received ${values.length}`;
      }
      for (const j of columns) {
        const [joint, value, last] = [this.#joints[j]!, values[j]!, motions[j]];
        if (!Number.isFinite(value)) return `Expected a finite position for ${joint.name}, received ${value}`;
        const problem = this.#checkPosition(value, joint, last, NaN);
        if (problem !== undefined) return `${problem} in row ${index + 1} of a trajectory`;
        motions[j] = this.#motion(value, last);
      }
    }
    return undefined;
  }

  /** Whether the robot may move on at the last command: as `checkCommand` for the velocities that were sent. */
  checkMotion(measured: Measured | undefined): string | undefined {
    for (const [j, joint] of this.#joints.entries()) {
      const last = this.#last?.[j];
      if (last === undefined || commandQuantity(joint) !== 'velocity') continue;
      const problem = this.#checkDistance(last.velocity, joint, last, measured?.positions[j] ?? NaN, measured);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #motion(position: number, last: JointMotion | undefined): JointMotion {
    return { position, velocity: last === undefined ? NaN : (position - last.position) / toSeconds(this.#period) };
  }

  #checkPosition(
    value: number,
    joint: ActionJoint,
    last: JointMotion | undefined,
    measured: number,
  ): string | undefined {
    if (last === undefined) return this.#checkFirstPosition(value, joint, measured);
    const { velocity } = this.#motion(value, last);
    const limits = Number.isNaN(last.velocity) ? { ...joint, maxAcceleration: Infinity } : joint;
    const from = { position: last.position, velocity: last.velocity || 0 };
    const allowed = limitPosition(value, limits, from, toSeconds(this.#period));
    if (Math.abs(allowed - value) <= rounding(value)) return undefined;
    const slowsDown = joint.integrated && isBetween(velocity, 0, last.velocity);
    if (slowsDown && (velocity === 0 || isBetween(value, joint.lower, joint.upper))) return undefined;
    return `Expected ${joint.name} at ${allowed} within its limits after ${last.position}, received ${value}`;
  }

  #checkFirstPosition(value: number, joint: ActionJoint, measured: number): string | undefined {
    const tolerance = measurementTolerance(joint);
    // A joint that is beyond a limit may stay where it is. One that is measured further out than its range is wide is not there.
    const range = joint.upper - joint.lower;
    const low = measured < joint.lower ? Math.max(measured - tolerance, joint.lower - range) : joint.lower;
    const high = measured > joint.upper ? Math.min(measured + tolerance, joint.upper + range) : joint.upper;
    const reach = joint.maxVelocity * this.#reachTime + tolerance;
    const far = Math.abs(value - measured) > reach;
    if (isBetween(value, low, high) && !far) return undefined;
    return `Expected a first command within ${reach} of ${measured} and from ${low} to ${high} for ${joint.name}, received ${value}`;
  }

  #checkVelocity(value: number, joint: ActionJoint, last: JointMotion | undefined): string | undefined {
    const { name, isJoint, lower, upper, maxVelocity, maxAcceleration } = joint;
    if (!isJoint && !isBetween(value, lower, upper)) {
      return `Expected ${name} from ${lower} to ${upper}, received ${value}`;
    }
    if (Math.abs(value) > maxVelocity + rounding(maxVelocity)) {
      return `Expected at most ${maxVelocity} for the velocity of ${name}, received ${value}`;
    }
    const before = last?.velocity ?? 0;
    const change = maxAcceleration * toSeconds(this.#period);
    if (Math.abs(value - before) <= change + rounding(change) || isBetween(value, 0, before)) return undefined;
    return `Expected a velocity within ${change} of ${before} for ${name}, received ${value}`;
  }

  /** Whether braking from the velocity `value` ends before the position limit: v² / (2 a) ≤ distance. */
  #checkDistance(
    value: number,
    joint: ActionJoint,
    last: JointMotion | undefined,
    position: number,
    measured: Measured | undefined,
  ): string | undefined {
    const limit = value > 0 ? joint.upper : joint.lower;
    if (value === 0 || measured === undefined || !joint.isJoint || !Number.isFinite(limit)) return undefined;
    const direction = Math.sign(value);
    const velocity = last?.velocity ?? 0;
    const moved = direction * velocity * toSeconds(measured.age);
    const reserve = Math.abs(velocity) * toSeconds(this.#period) + measurementTolerance(joint);
    const distance = direction * (limit - position) - moved + reserve;
    if (distance > 0 && value ** 2 / (2 * joint.maxAcceleration) <= distance) return undefined;
    return `Expected ${joint.name} to stop before its limit ${limit} from ${position}, received a velocity of ${value}`;
  }

  /** In lock-step commands follow the simulation, as fast as it runs. */
  #checkRate(now: bigint): string | undefined {
    if (this.#lockstep) return undefined;
    const due = this.#due < now ? now : this.#due;
    if (due - now > BURST * this.#period) {
      return `Expected one command each ${toSeconds(this.#period)} s, received more`;
    }
    this.#due = due + this.#period;
    return undefined;
  }
}

function rounding(value: number): number {
  return ROUNDING * (1 + Math.abs(value));
}

function measurementTolerance({ lower, upper }: ActionJoint): number {
  const range = upper - lower;
  return MEASUREMENT_TOLERANCE * (Number.isFinite(range) ? range : 1);
}

function isBetween(value: number, one: number, other: number): boolean {
  return value >= Math.min(one, other) && value <= Math.max(one, other);
}
