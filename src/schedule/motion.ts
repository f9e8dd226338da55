import { commandQuantity, type ActionJoint, type PolicyConfig } from '../config/config.js';
import { type FaultCode, Pi05Error } from '../errors.js';
import type { Command, MeasuredPositions } from '../frame/frame.js';
import { tickPeriod, toSeconds } from '../time.js';
import { CommandHistory } from './command-history.js';
import { FOLLOWING_MEMORY, FollowingError } from './following-error.js';
import { integrateVelocity, limitPosition, limitVelocity } from './limits.js';
import { PositionBounds } from './position-bounds.js';

/** A compliant hold follows the arm from this part of the largest following error on. */
const COMPLIANCE = 0.5;

/** Control periods after which a robot that brakes is taken to be at rest. */
const MAX_BRAKING_ROWS = 500;

/** [action joints] the last commanded positions (NaN where velocities are sent) and velocities. */
export interface LastCommand {
  readonly positions: Float64Array;
  readonly velocities: Float64Array;
}

/** What was sent to the robot: applies the limits to what is sent next, and compares it with what the robot does. */
export class Motion {
  readonly #joints: readonly ActionJoint[];
  /** Indices of the joints whose commands are velocities. */
  readonly #velocityJoints: readonly number[];
  readonly #compliant: boolean;
  /** Seconds between ticks. */
  readonly #period: number;
  /** Seconds for which a command may be in force: until a late tick stops the robot; in lock-step until the next tick. */
  readonly #reaction: number;
  /** Seconds for which a measured position is used. */
  readonly #maxAge: number;
  readonly #history: CommandHistory;
  readonly #following: FollowingError;
  readonly #bounds: PositionBounds;
  /** Undefined where nothing was sent since the last stop. */
  #last: LastCommand | undefined;
  /** [action joints] the values of the last stop action. */
  #stopValues: Float64Array | undefined;
  /** [action joints] where a hold moves to after the arm was moved by hand; NaN for the other joints. */
  #holdTargets: Float64Array | undefined;

  constructor({ action, controlRate, schedule, state, safety }: PolicyConfig) {
    this.#joints = action.joints;
    this.#velocityJoints = [...this.#joints.keys()].filter((j) => this.#isVelocity(j));
    this.#compliant = safety.hold === 'compliant';
    this.#period = 1 / controlRate;
    this.#reaction = schedule.lockstep ? this.#period : toSeconds(safety.maxTickGap);
    this.#maxAge = toSeconds(state.maxAge);
    // One period of delay in the control loop.
    const delay = tickPeriod(controlRate);
    this.#history = new CommandHistory(state.maxAge + delay + FOLLOWING_MEMORY);
    this.#following = new FollowingError(this.#joints);
    this.#bounds = new PositionBounds(delay);
  }

  /** Whether a command was sent that no stop action has ended. */
  get isCommanding(): boolean {
    return this.#last !== undefined;
  }

  /** The last command; undefined where nothing was sent since the last stop. */
  get last(): LastCommand | undefined {
    return this.#last;
  }

  /** Call this when the clock went back. */
  forgetTimes(): void {
    this.#history.clear();
    this.#following.reset();
    this.#bounds.reset();
  }

  /** Whether a hold can be sent: every position joint was commanded or is measured. */
  canHold(measured: MeasuredPositions): boolean {
    const positions = this.#last?.positions ?? measured.positions;
    return this.#joints.every((_, j) => this.#isVelocity(j) || !Number.isNaN(positions[j]));
  }

  /** @param row [action joints] of a chunk. @param observation stamp of its observation. @returns the row within the limits. */
  step(time: bigint, row: Float64Array, observation: bigint, measured: MeasuredPositions): Command {
    this.#holdTargets = undefined;
    return { time, reason: 'step', values: this.#send(time, row, measured), observation };
  }

  /** Positions stay, or move to where the arm was moved by hand; velocities brake to 0. */
  hold(time: bigint, measured: MeasuredPositions): Command {
    const last = this.#last?.positions;
    const wanted = Float64Array.from(this.#joints, (joint, j) => {
      const target = this.#holdTargets?.[j] ?? NaN;
      if (this.#isVelocity(j)) return 0;
      if (!joint.integrated) return Number.isNaN(target) ? (last ?? measured.positions)[j]! : target;
      return Number.isNaN(target) ? 0 : (target - last![j]!) / this.#period;
    });
    return { time, reason: 'hold', values: this.#send(time, wanted, measured) };
  }

  /**
   * What `step` will return after the last command if it is called with `rows`, and then `hold` until the robot is at rest.
   * @param values the last command. @param columns the joints that are computed, whose commands are positions and not
   * integrated; the others keep their value. @returns [ticks][action joints].
   */
  preview(values: Float64Array, rows: readonly Float64Array[], columns: readonly number[]): Float64Array[] {
    const result: Float64Array[] = [];
    const velocities = this.#last!.velocities.slice();
    let last = values;
    let atRest = false;
    for (let i = 0; i < rows.length || (!atRest && i < rows.length + MAX_BRAKING_ROWS); i++) {
      const row = last.slice();
      for (const j of columns) {
        const target = this.#holdTargets?.[j] ?? NaN;
        const wanted = rows[i]?.[j] ?? (Number.isNaN(target) ? last[j]! : target);
        const motion = { position: last[j]!, velocity: velocities[j]! };
        row[j] = limitPosition(wanted, this.#joints[j]!, motion, this.#period);
        velocities[j] = (row[j] - last[j]!) / this.#period;
      }
      atRest = i >= rows.length && columns.every((j) => velocities[j] === 0);
      if (!atRest) result.push(row);
      last = row;
    }
    return result;
  }

  /**
   * Ends the motion. @returns measured positions (the last command where they are unknown), zero velocities, grippers as last
   * commanded; undefined where a position joint was neither commanded nor measured.
   */
  stop(time: bigint, measured: MeasuredPositions | undefined): Command | undefined {
    const previous = this.#last?.positions ?? this.#stopValues;
    const isKnown = (value: number | undefined): value is number => value !== undefined && !Number.isNaN(value);
    const values = Float64Array.from(this.#joints, (joint, j) => {
      if (this.#isVelocity(j)) return 0;
      const position = measured?.positions[j];
      const sources = joint.gripper ? [previous?.[j], position] : [position, previous?.[j]];
      return sources.find(isKnown) ?? NaN;
    });
    const known = !values.some(Number.isNaN);
    this.#last = undefined;
    this.#holdTargets = undefined;
    this.#stopValues = known ? values : undefined;
    // What was commanded before may still be executed, so the history is kept.
    if (!this.#history.isEmpty) this.#history.add(time, values);
    this.#following.reset();
    this.#bounds.reset();
    return known ? { time, reason: 'stop', values } : undefined;
  }

  /** Forgets everything, the last stop action too. */
  reset(): void {
    this.#last = undefined;
    this.#holdTargets = undefined;
    this.#stopValues = undefined;
    this.forgetTimes();
  }

  /**
   * FOLLOWING_ERROR for the joint that is furthest from its commands, relative to its limit.
   * @param holding whether holds are sent: a compliant one then moves to where the arm was moved by hand.
   * @returns 'moved' where it does.
   */
  checkFollowing(
    now: bigint,
    measured: MeasuredPositions,
    holding: boolean,
  ): Pi05Error<FaultCode> | 'moved' | undefined {
    const errors = this.#following.update(measured, this.#history, now);
    const parts = errors.map((error, j) => error / this.#joints[j]!.maxFollowingError);
    const worst = parts.indexOf(Math.max(...parts));
    if (parts[worst]! > 1) {
      const { name, maxFollowingError } = this.#joints[worst]!;
      const received = `measured ${measured.positions[worst]}, which is ${errors[worst]} away`;
      const sentence = `Expected ${name} within ${maxFollowingError} of its commands, ${received}; stopped`;
      return new Pi05Error('FOLLOWING_ERROR', sentence, name);
    }
    if (!holding || !this.#compliant) return undefined;
    let moved = false;
    for (const [j, part] of parts.entries()) {
      if (part <= COMPLIANCE || this.#isVelocity(j)) continue;
      moved = true;
      this.#holdTargets ??= new Float64Array(parts.length).fill(NaN);
      this.#holdTargets[j] = measured.positions[j]!;
    }
    return moved ? 'moved' : undefined;
  }

  #isVelocity(j: number): boolean {
    return commandQuantity(this.#joints[j]!) === 'velocity';
  }

  #startFrom(now: bigint, measured: MeasuredPositions): LastCommand {
    const positions = measured.positions.map((position, j) => (this.#isVelocity(j) ? NaN : position));
    // Before its first command the robot stands where it was measured.
    const start = measured.stamp < now && this.#history.isEmpty ? measured.stamp : now;
    this.#history.add(
      start,
      measured.positions.map((position, j) => (this.#isVelocity(j) ? 0 : position)),
    );
    return { positions, velocities: new Float64Array(positions.length) };
  }

  /** Applies the limits to `wanted` [action joints] and remembers the result. */
  #send(time: bigint, wanted: Float64Array, measured: MeasuredPositions): Float64Array {
    const last = this.#last ?? this.#startFrom(time, measured);
    this.#bounds.update(this.#velocityJoints, measured, this.#history, time);
    const velocities = new Float64Array(this.#joints.length);
    const values = Float64Array.from(this.#joints, (joint, j) => {
      const velocity = last.velocities[j]!;
      const measuredPosition = measured.positions[j]!;
      if (this.#isVelocity(j)) {
        const motion = { position: measuredPosition, velocity, ...this.#bounds.of(j) };
        return (velocities[j] = limitVelocity(wanted[j]!, joint, motion, this.#period, this.#reaction));
      }
      // Without a measured start position the first command is the start position.
      const position = Number.isNaN(last.positions[j]) ? wanted[j]! : last.positions[j]!;
      const motion = { position, velocity };
      const value = joint.integrated
        ? integrateVelocity(wanted[j]!, joint, motion, measuredPosition, this.#period, this.#maxAge)
        : limitPosition(wanted[j]!, joint, motion, this.#period);
      velocities[j] = (value - position) / this.#period;
      return value;
    });
    this.#last = { positions: values.map((value, j) => (this.#isVelocity(j) ? NaN : value)), velocities };
    this.#history.add(time, values);
    return values;
  }
}
