import type { ActionJoint, PolicyConfig } from '../config/config.js';
import { type FaultCode, Pi05Error } from '../errors.js';
import type { ActionChunk, Command, MeasuredPositions } from '../frame/frame.js';
import { toMilliseconds, toNanoseconds, toSeconds } from '../time.js';
import { BlendIn } from './blend-in.js';
import {
  chunkAgeLimit,
  chunkNotFinite,
  chunkStale,
  commandStarved,
  firstCommandJump,
  heldTooLong,
  planEnded,
  untrainedDelay,
} from './faults.js';
import type { Plan } from './modes/mode.js';
import { Motion } from './motion.js';
import { type Continuation, Planner } from './planner.js';
import { type MotionQuality, type Seam, SeamMeter } from './seam.js';
import { TickGap } from './tick-gap.js';
import { TrajectoryCommands } from './trajectory-commands.js';

/** Identifies one inference; returned with its chunk. */
export interface InferenceTicket {
  /** When the inference started, ns. */
  readonly requestedAt: bigint;
}

/** The time from an observation to its chunk that the schedule counts with. */
export interface Delay {
  /** 0 = not known yet. */
  readonly ms: number;
  /** Whether it is `schedule.delay`; else it is estimated. */
  readonly fixed: boolean;
}

/** The result of one control tick. There is no command before a safe one is known, nor after the robot was stopped. */
export interface TickResult {
  readonly command?: Command;
  /** COMMAND_STARVED and CHUNK_STALE last while the command is a hold; every other fault is new. */
  readonly fault?: Pi05Error<FaultCode>;
  /** The command is the first step of a new plan. */
  readonly seam?: Seam;
}

/**
 * Decides when a chunk is wanted and which command is sent at each control tick. One row of a chunk is one tick.
 * Pure: time and measured positions are arguments, and nothing is published from here.
 *
 * What a new chunk is and how it continues the plan is the subject of the mode (`modes/`). In every mode the joints' limits
 * apply to every command. A chunk that was requested before a reset or a stop, whose observation is not newer than the last
 * stop, or that arrives after the engine's timeout, is never executed; nor is a row whose observation is older than
 * `max_chunk_age`.
 *
 * The schedule stops the robot by itself when the measured positions are lost, when a tick comes too late, when a joint
 * does not follow, and when it has held for longer than the engine's timeout. Nothing follows a stop until there is a new
 * chunk; in lock-step, where a simulation waits for a command, the stop action is repeated.
 */
export class Schedule {
  readonly #config: PolicyConfig;
  readonly #joints: readonly ActionJoint[];
  /** Seconds between ticks. */
  readonly #period: number;
  readonly #planner: Planner;
  readonly #motion: Motion;
  readonly #seams: SeamMeter;
  readonly #trajectories: TrajectoryCommands;
  readonly #blendIn: BlendIn;
  readonly #tickGap: TickGap;
  #active = false;
  /** The inference in flight; undefined also where its chunk is not wanted any more. */
  #ticket: InferenceTicket | undefined;
  /** The inference in flight has exceeded the timeout. */
  #engineLate = false;
  /** Largest age of the plan's observation, ns. */
  #maxChunkAge = 0n;
  /** The rest of the plan is too old to be executed. */
  #stale = false;
  /** A chunk was accepted since the activation. */
  #planned = false;
  /** The age limit was reported since the activation. */
  #ageLimitReported = false;
  /** A step of a chunk was sent since the robot was last stopped or moved by hand; before it a jump is refused. */
  #started = false;
  /** The stop action was sent; nothing follows it until there is a new plan. */
  #stopped = false;
  /** Only observations that are newer than this are used, ns. */
  #stoppedAt: bigint | undefined;
  /** Time of the first of the holds that are sent at present, ns. */
  #holdingSince: bigint | undefined;
  /** The last inference has failed: the robot is stopped when the plan ends. */
  #failed = false;

  /** @param trainedMaxDelay the largest delay, in steps, that the checkpoint was trained with for `rtc_trained`. */
  constructor(
    config: PolicyConfig,
    private readonly trainedMaxDelay = 0,
  ) {
    this.#config = config;
    this.#joints = config.action.joints;
    this.#period = 1 / config.controlRate;
    this.#planner = new Planner(config, trainedMaxDelay);
    this.#motion = new Motion(config);
    this.#seams = new SeamMeter(config);
    this.#blendIn = new BlendIn(config);
    this.#tickGap = new TickGap(config);
    this.#trajectories = new TrajectoryCommands(config, this.#planner, this.#motion, this.#blendIn);
  }

  activate(): void {
    this.#active = true;
    this.#planner.forgetLatency();
    this.reset();
    this.#motion.reset();
    this.#seams.reset();
    this.#trajectories.end();
    this.#stopped = false;
    this.#started = false;
    this.#stoppedAt = undefined;
    this.#holdingSince = undefined;
    this.#tickGap.reset();
    this.#planned = false;
    this.#ageLimitReported = false;
  }

  /** Drops the plan and the chunk of the inference in flight; motion continues from the last command. */
  reset(): void {
    this.#ticket = undefined;
    this.#failed = false;
    this.#planner.reset();
  }

  /** Whether an inference should start as soon as there is an observation. */
  get wantsInference(): boolean {
    return this.#active && this.#ticket === undefined && this.#planner.wantsChunk(this.#tickGap.next);
  }

  /** Whether a chunk of an observation with this stamp may be executed: after a stop only newer ones are. */
  isUsable(stamp: bigint): boolean {
    return this.#stoppedAt === undefined || stamp > this.#stoppedAt;
  }

  /** What the chunk of an observation at `stamp`, ns, is made to agree with; undefined = nothing. */
  continuation(stamp: bigint): Continuation | undefined {
    return this.#planner.continuation(stamp);
  }

  /** Call this when an inference starts, and `accept` with the ticket and the chunk when it is done. */
  requestInference(now: bigint): InferenceTicket {
    this.#engineLate = false;
    this.#ticket = { requestedAt: now };
    return this.#ticket;
  }

  /**
   * Makes a chunk the new plan.
   * @param review called with what would be executed; returns its chunk up to the step where it must end.
   * @returns 'outdated' where it must not be executed any more, 'refused' where `review` leaves no step, a fault
   * CHUNK_NOT_FINITE where it cannot be executed.
   */
  accept(
    ticket: InferenceTicket,
    chunk: ActionChunk,
    now: bigint,
    review?: (plan: Plan) => ActionChunk,
  ): 'accepted' | 'outdated' | 'refused' | Pi05Error<FaultCode> {
    const late = this.#isLate(ticket, now);
    if (ticket !== this.#ticket) return 'outdated';
    this.#ticket = undefined;
    if (late || !this.isUsable(chunk.stamp)) return 'outdated';
    const notFinite = chunkNotFinite(chunk);
    if (notFinite !== undefined) return notFinite;
    const maxChunkAge = this.#config.schedule.maxChunkAge ?? toNanoseconds(chunk.rows * chunk.period);
    const plan = this.#planner.merge(chunk, now, maxChunkAge);
    const reviewed = review?.(plan) ?? plan.chunk;
    if (reviewed.rows < plan.chunk.rows && reviewed.rows <= plan.nextRow) return 'refused';
    const next = { ...plan, chunk: reviewed };
    this.#seams.merge(this.#planner.plan, next);
    this.#planner.use(next, chunk);
    this.#maxChunkAge = maxChunkAge;
    this.#stale = false;
    this.#failed = false;
    this.#planned = true;
    this.#stopped = false;
    return 'accepted';
  }

  /**
   * The inference in flight has failed. The plan goes on to its end or to the age limit of its observation, as it does while the
   * engine is late, and then the robot is stopped. @returns false where no step of a plan is left: then call `stop`.
   */
  failInference(now: bigint): boolean {
    this.#ticket = undefined;
    this.#failed = this.#started && this.#nextRow(now) !== undefined;
    return this.#failed;
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
   * CHUNK_AGE_LIMIT, once per activation, where `replan_steps` and the measured latency take longer than a chunk may be old.
   */
  checkAgeLimit(): Pi05Error<FaultCode> | undefined {
    const { plan, latency } = this.#planner;
    if (plan === undefined || this.#ageLimitReported || latency === 0n) return undefined;
    const steps = toNanoseconds(this.#planner.replanRow(plan) * plan.chunk.period);
    const allowed = this.#maxChunkAge;
    if (steps + latency <= allowed) return undefined;
    this.#ageLimitReported = true;
    return chunkAgeLimit(steps, latency, allowed);
  }

  get delay(): Delay {
    return { ms: toMilliseconds(this.#planner.delay), fixed: this.#config.schedule.delay !== undefined };
  }

  /** Of what was commanded since the activation. */
  get quality(): MotionQuality {
    return this.#seams.quality;
  }

  /** RTC_DELAY while, in mode `rtc_trained`, the delay is longer than the checkpoint was trained with. */
  checkDelay(): Pi05Error<FaultCode> | undefined {
    const { untrainedSteps, delay } = this.#planner;
    return untrainedSteps === 0 ? undefined : untrainedDelay(this.trainedMaxDelay, untrainedSteps, delay);
  }

  /**
   * The ticks before `now` that were due and did not come, while a controller executes a trajectory by itself; oldest first, ns.
   * Call `tick` for each of them before anything else: without them the next trajectory would begin where the robot was before.
   */
  skippedTicks(now: bigint): bigint[] {
    const running = this.#active && !this.#stopped && this.#trajectories.isRunning;
    return running ? this.#tickGap.skipped(now) : [];
  }

  /**
   * The command of the control tick at `now`.
   * @param measured undefined where the positions are unknown at present. @param lateness ns after the tick was due.
   */
  tick(now: bigint, measured: MeasuredPositions | undefined, lateness = 0n): TickResult {
    if (!this.#active) return {};
    const gap = this.#tickGap.tick(now, lateness, this.#trajectories.isRunning);
    const { lockstep } = this.#config.schedule;
    if (this.#stopped) {
      const command = lockstep ? this.#motion.stop(now, measured) : undefined;
      return command === undefined ? {} : { command };
    }
    if (this.#motion.isCommanding) {
      const fault = this.#checkState(measured) ?? (lockstep ? undefined : gap) ?? this.#checkFollowing(now, measured!);
      if (fault !== undefined) return this.#stopFor(fault, now, measured);
    }
    if (measured === undefined) return {};
    const row = this.#nextRow(now);
    const result = row === undefined ? this.#hold(now, measured) : this.#step(now, row, measured);
    if (result.command === undefined) return result;
    return { ...result, command: this.#trajectories.complete(result.command, this.#maxChunkAge) };
  }

  /**
   * The stop action: measured positions (the last command where they are unknown), zero velocities, grippers as last
   * commanded. No command follows it until there is a chunk of a newer observation. Undefined where it was sent already, or
   * where a position joint was neither commanded nor measured yet: then there is no motion to stop.
   */
  stop(now: bigint, measured: MeasuredPositions | undefined): Command | undefined {
    const alreadySent = this.#stopped;
    const command = this.#motion.stop(now, measured);
    this.#seams.rest();
    this.#trajectories.end();
    this.reset();
    this.#stopped = true;
    this.#stoppedAt = now;
    this.#started = false;
    this.#holdingSince = undefined;
    return this.#active && !alreadySent ? command : undefined;
  }

  /** Like `stop`; where no command was sent before, nothing is sent. */
  halt(now: bigint, measured: MeasuredPositions | undefined): Command | undefined {
    if (this.#motion.isCommanding || this.#stopped) return this.stop(now, measured);
    this.reset();
    this.#stoppedAt = now;
    return undefined;
  }

  /** Like `stop`; no inference is wanted and no command is sent until the next activation. */
  deactivate(now: bigint, measured: MeasuredPositions | undefined): Command | undefined {
    const command = this.stop(now, measured);
    this.#active = false;
    return command;
  }

  /**
   * The clock went back to `now`: the plan is dropped, and a robot that receives commands is stopped. In lock-step, where it
   * is the reset of a simulation, motion continues from the last command.
   */
  restartClock(now: bigint, measured: MeasuredPositions | undefined): Command | undefined {
    const { lockstep } = this.#config.schedule;
    const command = lockstep ? undefined : this.halt(now, measured);
    this.reset();
    this.#tickGap.reset();
    this.#holdingSince = undefined;
    this.#motion.forgetTimes();
    if (this.#stoppedAt !== undefined && this.#stoppedAt > now) this.#stoppedAt = now;
    return command;
  }

  #step(now: bigint, row: Float64Array, measured: MeasuredPositions): TickResult {
    const jump = this.#started ? undefined : firstCommandJump(this.#joints, row, measured.positions, this.#period);
    if (jump !== undefined) {
      this.#planner.dropPlan();
      const { command } = this.#hold(now, measured);
      return command === undefined ? { fault: jump } : { command, fault: jump };
    }
    if (!this.#started) this.#blendIn.start(now, this.#motion.last?.positions ?? measured.positions);
    this.#started = true;
    this.#holdingSince = undefined;
    this.#planner.countStep(now);
    const wanted = this.#blendIn.apply(now, row);
    const seam = this.#seams.step(now, wanted, this.#motion.last);
    const command = this.#motion.step(now, wanted, this.#planner.plan!.chunk.stamp, measured);
    this.#seams.command(this.#motion.last!.velocities, false);
    return seam ? { command, seam } : { command };
  }

  #hold(now: bigint, measured: MeasuredPositions): TickResult {
    const { lockstep, engineTimeout } = this.#config.schedule;
    const waitsForFirstPlan = !this.#planned && (this.#config.safety.holdBeforePlan || lockstep);
    if (!this.#motion.isCommanding && !waitsForFirstPlan && !lockstep) return {};
    if (!this.#motion.canHold(measured)) return {};
    this.#holdingSince ??= now;
    if (this.#failed) return this.#stopFor(planEnded(), now, measured);
    if (!waitsForFirstPlan && now - this.#holdingSince > engineTimeout) {
      return this.#stopFor(heldTooLong(now - this.#holdingSince, engineTimeout), now, measured);
    }
    const fault = this.#underrun(now);
    const command = this.#motion.hold(now, measured);
    this.#seams.command(this.#motion.last!.velocities, this.#planned);
    return fault ? { command, fault } : { command };
  }

  #stopFor(fault: Pi05Error<FaultCode>, now: bigint, measured: MeasuredPositions | undefined): TickResult {
    const command = this.stop(now, measured);
    return command === undefined ? { fault } : { command, fault };
  }

  #nextRow(now: bigint): Float64Array | undefined {
    const { plan } = this.#planner;
    if (plan === undefined) return undefined;
    const { chunk, nextRow } = plan;
    if (nextRow >= this.#planner.endRow(plan)) return undefined;
    if (now - chunk.stamp > this.#maxChunkAge) {
      this.#stale = true;
      plan.nextRow = chunk.rows;
      return undefined;
    }
    const columns = chunk.joints.length;
    return chunk.values.subarray(nextRow * columns, (nextRow + 1) * columns);
  }

  #isLate({ requestedAt }: InferenceTicket, now: bigint): boolean {
    return now - requestedAt > this.#config.schedule.engineTimeout;
  }

  #checkState(measured: MeasuredPositions | undefined): Pi05Error<FaultCode> | undefined {
    if (measured !== undefined) return undefined;
    const sentence = `Expected joint states at most ${toSeconds(this.#config.state.maxAge)} s old, received none; stopped`;
    return new Pi05Error('STATE_LOST', sentence, this.#config.state.topic);
  }

  #checkFollowing(now: bigint, measured: MeasuredPositions): Pi05Error<FaultCode> | undefined {
    const result = this.#motion.checkFollowing(now, measured, this.#holdingSince !== undefined);
    if (result !== 'moved') return result;
    // The next chunk has to begin where the arm is now.
    this.#started = false;
    return undefined;
  }

  /** CHUNK_STALE or COMMAND_STARVED while the last chunk has run out. In some modes that is normal during an inference. */
  #underrun(now: bigint): Pi05Error<FaultCode> | undefined {
    const { plan, executesDuringInference } = this.#planner;
    if (plan === undefined) return undefined;
    if (this.#stale) return chunkStale(now - plan.chunk.stamp, this.#maxChunkAge);
    if (!executesDuringInference && this.#ticket !== undefined && !this.#engineLate) return undefined;
    return commandStarved(plan.nextRow);
  }
}
