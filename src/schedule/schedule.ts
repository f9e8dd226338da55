import { commandQuantity, type ActionJoint, type PolicyConfig } from '../config/config.js';
import { Pi05Error } from '../errors.js';
import type { FaultCode } from '../errors.js';
import type { ActionChunk, Command, CommandReason } from '../frame/frame.js';
import { toSeconds } from '../time.js';
import { mergeStrategies } from './chunk-merge.js';
import type { Plan } from './chunk-merge.js';
import { LatencyEstimate } from './latency-estimate.js';
import { integrateVelocity, limitPosition, limitVelocity } from './limits.js';

/** Identifies one inference; returned with its chunk. */
export interface InferenceTicket {
  /** When the inference started, ns. */
  readonly requestedAt: bigint;
}

/** The result of one control tick. There is no command before a safe one is known, nor after the robot was stopped. */
export interface TickResult {
  readonly command?: Command;
  readonly fault?: Pi05Error<FaultCode>;
}

const MAX_STEP_TIMES = 1024;

/**
 * Decides when a chunk is wanted and which command is sent at each control tick. One row of a chunk is one tick.
 * Pure: time and measured positions are arguments, and nothing is published from here.
 *
 * `sync` executes `replan_steps` rows, holds, and continues with the next chunk. `async` wants the next chunk after
 * `replan_steps` rows and executes the remaining rows meanwhile. The joints' limits apply to every command. A chunk that
 * was requested before a reset or a stop, or that arrives after the engine's timeout, is never executed.
 */
export class Schedule {
  readonly #config: PolicyConfig;
  readonly #joints: readonly ActionJoint[];
  /** Seconds between ticks. */
  readonly #period: number;
  /** Seconds for which a measured position is used. */
  readonly #maxAge: number;
  readonly #latency = new LatencyEstimate();
  #active = false;
  /** The inference in flight; undefined also where its chunk is not wanted any more. */
  #ticket: InferenceTicket | undefined;
  /** The inference in flight has exceeded the timeout. */
  #engineLate = false;
  #plan: Plan | undefined;
  /** A step of a chunk was sent since the robot was last stopped. */
  #started = false;
  /** The stop action was sent; nothing follows it until there is a new plan. */
  #stopped = false;
  /** [action joints] last commanded positions (NaN where velocities are sent) and velocities; undefined when nothing was sent. */
  #last: { readonly positions: Float64Array; readonly velocities: Float64Array } | undefined;
  /** Times of the ticks that executed a step of a chunk, oldest first. */
  #stepTimes: bigint[] = [];

  constructor(config: PolicyConfig) {
    this.#config = config;
    this.#joints = config.action.joints;
    this.#period = 1 / config.controlRate;
    this.#maxAge = toSeconds(config.state.maxAge);
  }

  activate(): void {
    this.#active = true;
    this.#latency.forget();
    this.reset();
    this.#stopped = false;
  }

  /** Drops the plan and the chunk of the inference in flight; motion continues from the last command. */
  reset(): void {
    this.#ticket = undefined;
    this.#plan = undefined;
    this.#stepTimes = [];
  }

  /** Whether an inference should start as soon as there is an observation. */
  get wantsInference(): boolean {
    return (
      this.#active &&
      this.#ticket === undefined &&
      (this.#plan === undefined || this.#plan.nextRow >= this.#replanRow(this.#plan))
    );
  }

  /** Call this when an inference starts, and `accept` with the ticket and the chunk when it is done. */
  requestInference(now: bigint): InferenceTicket {
    this.#engineLate = false;
    this.#ticket = { requestedAt: now };
    return this.#ticket;
  }

  /**
   * Makes a chunk the new plan.
   * @param review called with the step that would be executed next; returns the chunk up to the step where it must end.
   * @returns 'outdated' where it must not be executed any more, 'refused' where `review` leaves no step, a fault
   * CHUNK_NOT_FINITE where it cannot be executed.
   */
  accept(
    ticket: InferenceTicket,
    chunk: ActionChunk,
    now: bigint,
    review?: (firstRow: number) => ActionChunk,
  ): 'accepted' | 'outdated' | 'refused' | Pi05Error<FaultCode> {
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
    this.#stepTimes = this.#stepTimes.filter((time) => time >= chunk.stamp);
    // Never skips more steps than were executed since the observation.
    const estimatedSteps = Math.ceil(toSeconds(this.#latency.p95) / chunk.period);
    const plan = mergeStrategies[this.#config.schedule.mode](chunk, Math.min(estimatedSteps, this.#stepTimes.length));
    const reviewed = review?.(plan.nextRow) ?? chunk;
    if (reviewed.rows < chunk.rows && reviewed.rows <= plan.nextRow) return 'refused';
    this.#plan = { ...plan, chunk: reviewed };
    this.#stopped = false;
    return 'accepted';
  }

  /** ENGINE_LATE while the inference in flight exceeds the timeout. */
  checkEngine(now: bigint): Pi05Error<FaultCode> | undefined {
    const ticket = this.#ticket;
    if (ticket === undefined || !this.#isLate(ticket, now)) return undefined;
    this.#engineLate = true;
    const timeout = toSeconds(this.#config.schedule.engineTimeout);
    const waited = toSeconds(now - ticket.requestedAt);
    return new Pi05Error(
      'ENGINE_LATE',
      `Expected a chunk within ${timeout} s, received none in ${waited.toFixed(3)} s; it is dropped when it arrives`,
      'engine',
    );
  }

  /**
   * The command of the control tick at `now`.
   * @param measured [action joints] positions in the robot's units, NaN where none is needed; undefined where they are
   * unknown at present.
   */
  tick(now: bigint, measured: Float64Array | undefined): TickResult {
    if (!this.#active || this.#stopped) return {};
    const row = this.#nextRow();
    if (!this.#started) {
      if (measured === undefined || (row === undefined && !this.#canHold(measured))) return {};
      const jump = row && this.#checkJump(row, measured);
      if (jump !== undefined) {
        this.#plan = undefined;
        return { command: this.#send(now, 'hold', undefined, measured), fault: jump };
      }
      if (row !== undefined || this.#last === undefined) this.#startFrom(measured);
    }
    if (row === undefined) {
      const fault = this.#underrun();
      const command = this.#send(now, 'hold', undefined, measured);
      return fault ? { command, fault } : { command };
    }
    this.#started = true;
    this.#plan!.nextRow++;
    this.#stepTimes.push(now);
    if (this.#stepTimes.length > MAX_STEP_TIMES) this.#stepTimes.shift();
    const observation = this.#plan!.chunk.stamp;
    return { command: { ...this.#send(now, 'step', row, measured), observation } };
  }

  /**
   * The stop action: measured positions (the last command where they are unknown), zero velocities, grippers as last
   * commanded. No command follows it until a chunk arrives that was requested after it. Undefined where it was sent
   * already, or where a position joint was neither commanded nor measured yet: then there is no motion to stop.
   */
  stop(now: bigint, measured: Float64Array | undefined): Command | undefined {
    const alreadySent = this.#stopped;
    const last = this.#last?.positions;
    this.reset();
    this.#stopped = true;
    this.#started = false;
    this.#last = undefined;
    if (!this.#active || alreadySent) return undefined;
    const isKnown = (value: number | undefined): value is number => value !== undefined && !Number.isNaN(value);
    const values = Float64Array.from(this.#joints, (joint, j) => {
      if (commandQuantity(joint) === 'velocity') return 0;
      const sources = joint.gripper ? [last?.[j], measured?.[j]] : [measured?.[j], last?.[j]];
      return sources.find(isKnown) ?? NaN;
    });
    return values.some(Number.isNaN) ? undefined : { time: now, reason: 'stop', values };
  }

  /** Like `stop`; no inference is wanted and no command is sent until the next activation. */
  deactivate(now: bigint, measured: Float64Array | undefined): Command | undefined {
    const command = this.stop(now, measured);
    this.#active = false;
    return command;
  }

  #canHold(measured: Float64Array): boolean {
    const positions = this.#last?.positions ?? measured;
    return this.#joints.every((joint, j) => commandQuantity(joint) === 'velocity' || !Number.isNaN(positions[j]));
  }

  #replanRow({ chunk }: Plan): number {
    return Math.min(this.#config.schedule.replanSteps, chunk.rows);
  }

  #nextRow(): Float64Array | undefined {
    const plan = this.#plan;
    if (plan === undefined) return undefined;
    const { chunk, nextRow } = plan;
    const end = this.#config.schedule.mode === 'sync' ? this.#replanRow(plan) : chunk.rows;
    const columns = chunk.joints.length;
    return nextRow < end ? chunk.values.subarray(nextRow * columns, (nextRow + 1) * columns) : undefined;
  }

  #isLate({ requestedAt }: InferenceTicket, now: bigint): boolean {
    return now - requestedAt > this.#config.schedule.engineTimeout;
  }

  /** COMMAND_JUMP for a position further from the measured one than one period at full speed. Grippers are exempt. */
  #checkJump(row: Float64Array, measured: Float64Array): Pi05Error<FaultCode> | undefined {
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
    const positions = measured.map((position, j) =>
      commandQuantity(this.#joints[j]!) === 'velocity' ? NaN : position,
    );
    this.#last = { positions, velocities: new Float64Array(positions.length) };
  }

  /** COMMAND_STARVED while the last chunk has run out. In `sync` that is normal while an inference is in flight. */
  #underrun(): Pi05Error<FaultCode> | undefined {
    const waiting = this.#config.schedule.mode === 'sync' && this.#ticket !== undefined && !this.#engineLate;
    if (this.#plan === undefined || waiting) return undefined;
    return new Pi05Error(
      'COMMAND_STARVED',
      `Expected a chunk before the last one's ${this.#plan.nextRow} steps ran out, received none; holding`,
      'engine',
    );
  }

  /** Applies the limits to `wanted` (undefined: no motion) and remembers the result. */
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
      const measuredPosition = measured?.[j] ?? NaN;
      if (commandQuantity(joint) === 'velocity') {
        const motion = { position: measuredPosition, velocity };
        values[j] = velocities[j] = limitVelocity(wanted?.[j] ?? 0, joint, motion, this.#period);
        continue;
      }
      const lastPosition = last.positions[j]!;
      // Without a measured start position the first command is the start position.
      const position = Number.isNaN(lastPosition) ? (wanted?.[j] ?? lastPosition) : lastPosition;
      const motion = { position, velocity };
      values[j] = joint.integrated
        ? integrateVelocity(wanted?.[j] ?? 0, joint, motion, measuredPosition, this.#period, this.#maxAge)
        : limitPosition(wanted?.[j] ?? position, joint, motion, this.#period);
      velocities[j] = (values[j] - position) / this.#period;
    }
    this.#last = {
      positions: values.map((value, j) => (commandQuantity(this.#joints[j]!) === 'velocity' ? NaN : value)),
      velocities,
    };
    return { time, reason, values };
  }
}
