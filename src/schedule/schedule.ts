import type { ActionJoint, PolicyConfig } from '../config/config.js';
import { Pi05Error } from '../errors.js';
import type { RunCode } from '../errors.js';
import type { ActionChunk, Command, CommandReason } from '../frame/frame.js';
import { toSeconds } from '../time.js';
import { LatencyEstimate } from './latency.js';
import { integrateVelocity, limitPosition, limitVelocity } from './limits.js';
import { MERGES } from './merge.js';
import type { Plan } from './merge.js';

/** One question to the engine. */
export interface Ticket {
  readonly epoch: number;
  /** When it was asked, ns. */
  readonly asked: bigint;
}

/** What one control tick gives. No command: there is nothing safe to say yet, or the robot was stopped. */
export interface Step {
  readonly command?: Command;
  readonly fault?: Pi05Error<RunCode>;
}

const CONSUMED_HISTORY = 1024;

/**
 * Decides when a chunk is wanted and what the robot is told at each control tick. One row of a chunk is one tick.
 * Pure: time and measured positions are passed in, nothing is published from here.
 *
 * `sync` executes `replan_steps` rows, holds, and goes on with the next chunk; `async` asks for the next chunk once
 * `replan_steps` rows have passed and executes the rest meanwhile. Every command passes the joints' limits.
 * A chunk asked for before a reset, a stop or the engine's time-out is never executed.
 */
export class Schedule {
  readonly #config: PolicyConfig;
  readonly #joints: readonly ActionJoint[];
  /** Seconds between ticks. */
  readonly #period: number;
  /** Seconds for which a measured position counts. */
  readonly #maxAge: number;
  readonly #latency = new LatencyEstimate();
  #active = false;
  #epoch = 0;
  #ticket: Ticket | undefined;
  /** The inference that is asked for is late. */
  #late = false;
  #plan: Plan | undefined;
  /** A step of a chunk was sent since the robot was last stopped. */
  #started = false;
  /** Nothing is sent after the stop action until there is a plan again. */
  #silent = false;
  /** [action joints] last commanded positions (NaN where velocities are sent) and velocities; undefined when nothing was sent. */
  #last: { readonly positions: Float64Array; readonly velocities: Float64Array } | undefined;
  /** Times of the ticks whose step came from a chunk, oldest first. */
  #consumed: bigint[] = [];

  constructor(config: PolicyConfig) {
    this.#config = config;
    this.#joints = config.action.joints;
    this.#period = 1 / config.controlRate;
    this.#maxAge = toSeconds(config.state.maxAge);
  }

  activate(): void {
    this.#active = true;
    this.reset();
    this.#silent = false;
  }

  /** Drops the plan and every chunk still to come; motion goes on from the last command. */
  reset(): void {
    this.#epoch++;
    this.#ticket = undefined;
    this.#plan = undefined;
    this.#consumed = [];
  }

  /** Whether an inference should start as soon as there is an observation. */
  get wantsInference(): boolean {
    return (
      this.#active &&
      this.#ticket === undefined &&
      (this.#plan === undefined || this.#plan.next >= this.#replanRow(this.#plan))
    );
  }

  /** To be called when an inference starts; its ticket comes back with the chunk. */
  ask(now: bigint): Ticket {
    this.#late = false;
    this.#ticket = { epoch: this.#epoch, asked: now };
    return this.#ticket;
  }

  /**
   * Takes a chunk as the new plan.
   * @returns 'outdated' where it must not be executed any more, a fault CHUNK_NOT_FINITE where it can not.
   */
  accept(ticket: Ticket, chunk: ActionChunk, now: bigint): 'accepted' | 'outdated' | Pi05Error<RunCode> {
    const late = this.#isLate(ticket, now);
    if (ticket !== this.#ticket) return 'outdated';
    this.#ticket = undefined;
    if (late) return 'outdated';
    const bad = chunk.values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      const columns = chunk.joints.length;
      const where = `${chunk.joints[bad % columns]} in step ${Math.floor(bad / columns)}`;
      return new Pi05Error(
        'CHUNK_NOT_FINITE',
        `Expected finite actions, received ${chunk.values[bad]} for ${where}`,
        'engine',
      );
    }
    const latency = now - chunk.stamp;
    this.#latency.add(latency);
    this.#consumed = this.#consumed.filter((time) => time >= chunk.stamp);
    const estimate = Math.ceil(toSeconds(this.#latency.p95) / chunk.period);
    this.#plan = MERGES[this.#config.schedule.mode](chunk, Math.min(estimate, this.#consumed.length));
    this.#silent = false;
    return 'accepted';
  }

  /** ENGINE_LATE for as long as an inference has had no answer for too long. */
  watch(now: bigint): Pi05Error<RunCode> | undefined {
    const ticket = this.#ticket;
    if (ticket === undefined || !this.#isLate(ticket, now)) return undefined;
    this.#late = true;
    const timeout = toSeconds(this.#config.schedule.engineTimeout);
    const waited = toSeconds(now - ticket.asked);
    return new Pi05Error(
      'ENGINE_LATE',
      `Expected a chunk within ${timeout} s, received none in ${waited.toFixed(3)} s; it is dropped when it comes`,
      'engine',
    );
  }

  /**
   * The command of the control tick at `now`.
   * @param measured [action joints] positions in the robot's units, NaN where there is none to measure; undefined where
   * they are not known at present.
   */
  next(now: bigint, measured: Float64Array | undefined): Step {
    if (!this.#active || this.#silent) return {};
    const row = this.#nextRow();
    if (!this.#started) {
      if (measured === undefined || (row === undefined && !this.#canHold(measured))) return {};
      const jump = row && this.#jump(row, measured);
      if (jump !== undefined) {
        this.#plan = undefined;
        return { command: this.#send(now, 'hold', undefined, measured), fault: jump };
      }
      if (row !== undefined || this.#last === undefined) this.#startFrom(measured);
    }
    if (row === undefined) {
      const fault = this.#starve();
      const command = this.#send(now, 'hold', undefined, measured);
      return fault ? { command, fault } : { command };
    }
    this.#started = true;
    this.#plan!.next++;
    this.#consumed.push(now);
    if (this.#consumed.length > CONSUMED_HISTORY) this.#consumed.shift();
    return { command: this.#send(now, 'step', row, measured) };
  }

  /**
   * The stop action: measured positions (the last command where they are not known), zero velocities, grippers as last
   * commanded. Nothing follows it until a chunk that is asked for after it arrives. Undefined where it was already
   * sent, or where a position joint was never commanded nor measured: then there is no motion to stop.
   */
  stop(now: bigint, measured: Float64Array | undefined): Command | undefined {
    const sent = this.#silent;
    const last = this.#last?.positions;
    this.reset();
    this.#silent = true;
    this.#started = false;
    this.#last = undefined;
    if (!this.#active || sent) return undefined;
    const known = (value: number | undefined): value is number => value !== undefined && !Number.isNaN(value);
    const values = Float64Array.from(this.#joints, (joint, j) => {
      if (sendsVelocity(joint)) return 0;
      const sources = joint.gripper ? [last?.[j], measured?.[j]] : [measured?.[j], last?.[j]];
      return sources.find(known) ?? NaN;
    });
    return values.some(Number.isNaN) ? undefined : { time: now, reason: 'stop', values };
  }

  /** As `stop`; nothing is wanted or executed until the next activation. */
  deactivate(now: bigint, measured: Float64Array | undefined): Command | undefined {
    const command = this.stop(now, measured);
    this.#active = false;
    return command;
  }

  #canHold(measured: Float64Array): boolean {
    const positions = this.#last?.positions ?? measured;
    return this.#joints.every((joint, j) => sendsVelocity(joint) || !Number.isNaN(positions[j]));
  }

  #replanRow({ chunk }: Plan): number {
    return Math.min(this.#config.schedule.replanSteps, chunk.rows);
  }

  #nextRow(): Float64Array | undefined {
    const plan = this.#plan;
    if (plan === undefined) return undefined;
    const { chunk, next } = plan;
    const end = this.#config.schedule.mode === 'sync' ? this.#replanRow(plan) : chunk.rows;
    return next < end ? chunk.values.subarray(next * chunk.joints.length, (next + 1) * chunk.joints.length) : undefined;
  }

  #isLate({ asked }: Ticket, now: bigint): boolean {
    return now - asked > this.#config.schedule.engineTimeout;
  }

  /** A position step further from where the robot is than one period at full speed; grippers are free to snap. */
  #jump(row: Float64Array, measured: Float64Array): Pi05Error<RunCode> | undefined {
    for (const [j, { name, kind, gripper, lower, upper, maxVelocity }] of this.#joints.entries()) {
      if (kind === 'velocity' || gripper) continue;
      const target = Math.min(Math.max(row[j]!, lower), upper);
      const reach = maxVelocity * this.#period;
      if (Math.abs(target - measured[j]!) > reach * (1 + 1e-9)) {
        const sentence = `Expected a first command within ${reach} of ${measured[j]} for ${name}, received ${target}; holding`;
        return new Pi05Error('COMMAND_JUMP', sentence, name);
      }
    }
    return undefined;
  }

  #startFrom(measured: Float64Array): void {
    const positions = measured.map((position, j) => (sendsVelocity(this.#joints[j]!) ? NaN : position));
    this.#last = { positions, velocities: new Float64Array(positions.length) };
  }

  /** COMMAND_STARVED for as long as a chunk has run out without the next one. Waiting is sync's way. */
  #starve(): Pi05Error<RunCode> | undefined {
    const waits = this.#config.schedule.mode === 'sync' && this.#ticket !== undefined && !this.#late;
    if (this.#plan === undefined || waits) return undefined;
    return new Pi05Error(
      'COMMAND_STARVED',
      `Expected a chunk before the last one's ${this.#plan.next} steps ran out, received none; holding`,
      'engine',
    );
  }

  /** Limits `wanted` (undefined: stand still) and remembers what became of it. */
  #send(
    time: bigint,
    reason: CommandReason,
    wanted: Float64Array | undefined,
    measured: Float64Array | undefined,
  ): Command {
    if (this.#last === undefined) this.#startFrom(measured!);
    const last = this.#last!;
    const values = new Float64Array(this.#joints.length);
    const velocities = new Float64Array(this.#joints.length);
    for (const [j, joint] of this.#joints.entries()) {
      const velocity = last.velocities[j]!;
      const where = measured?.[j] ?? NaN;
      if (sendsVelocity(joint)) {
        const motion = { position: where, velocity };
        values[j] = velocities[j] = limitVelocity(wanted?.[j] ?? 0, joint, motion, this.#period);
        continue;
      }
      const before = last.positions[j]!;
      // Without a measured start the first command is the start.
      const position = Number.isNaN(before) ? (wanted?.[j] ?? before) : before;
      const motion = { position, velocity };
      values[j] = joint.integrated
        ? integrateVelocity(wanted?.[j] ?? 0, joint, motion, where, this.#period, this.#maxAge)
        : limitPosition(wanted?.[j] ?? position, joint, motion, this.#period);
      velocities[j] = (values[j] - position) / this.#period;
    }
    this.#last = {
      positions: values.map((value, j) => (sendsVelocity(this.#joints[j]!) ? NaN : value)),
      velocities,
    };
    return { time, reason, values };
  }
}

function sendsVelocity({ kind, integrated }: ActionJoint): boolean {
  return kind === 'velocity' && !integrated;
}
