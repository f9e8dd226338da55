import type { PolicyConfig } from '../config/config.js';
import type { SizeLimits } from '../decode/image.js';
import type { Engine, InferRequest } from '../engine/engine.js';
import { errorMessage, Pi05Error, Refusal } from '../errors.js';
import type { FaultCode } from '../errors.js';
import type { ActionChunk, CameraFrame, Command, JointReading, Observation } from '../frame/frame.js';
import { Observer } from '../observation/observer.js';
import type { OfferResult } from '../observation/observer.js';
import { ReportThrottle } from '../report-throttle.js';
import { Schedule } from '../schedule/schedule.js';
import type { InferenceTicket } from '../schedule/schedule.js';
import type { ToolGuard } from '../schedule/tool-guard.js';
import { SECOND, toMilliseconds } from '../time.js';
import { Counters } from './statistics.js';
import type { PipelineStatistics } from './statistics.js';

/** The part of a policy that the pipeline needs. */
export interface PolicyLike {
  /** @throws Refusal PROMPT_EMPTY, PROMPT_TOO_LONG. */
  prepare(observation: Observation): Pick<InferRequest, 'images' | 'tokens' | 'noise'>;
  /** The engine's normalised actions in the robot's units. */
  finish(actions: Float32Array, observation: Observation): ActionChunk;
}

/**
 * Receives the results. A `chunk` that throws counts as an engine failure: the robot is stopped. `fault` must not throw.
 */
export interface PipelineSink {
  /** Called once for each accepted chunk, when it is accepted. */
  chunk(chunk: ActionChunk, timing: ChunkTiming): void;
  /** @param cause why the robot is stopped; undefined for other commands and at a deactivation. */
  command(command: Command, cause?: Pi05Error<FaultCode>): void;
  /** Each refused message. A condition that lasts: on onset, then at most once per second until cleared. */
  refusal(refusal: Refusal): void;
  /** As for `refusal`. */
  fault(fault: Pi05Error<FaultCode>): void;
}

export interface ChunkTiming {
  /** Time that the engine took. */
  readonly inferenceMs: number;
  /** From the observation's stamp to the acceptance of the chunk. */
  readonly latencyMs: number;
}

/** An inference, from its start to the arrival of its chunk. */
interface Inference {
  /** The chunk does not arrive before this time, ns; 0 = as soon as it is computed. */
  arrivesAt: bigint;
  /** Resolves when the engine is done. */
  readonly computed: Promise<void>;
  /** Handles the result; undefined while the engine computes it. */
  handleResult: (() => void) | undefined;
}

/** Time without inference after an engine failure or a refused prompt, ns. */
const RETRY_AFTER = SECOND;
/** A clock that goes back by more than this has jumped, ns; by less it was corrected. */
const CLOCK_JUMP = 50_000_000n;

/**
 * Observation → policy → engine → schedule. Knows nothing of ROS: inputs are decoded, every event carries `now` (ROS
 * time, ns), results go to a sink. Inputs are ignored while the pipeline is inactive, except for the prompt.
 *
 * An inference starts when the schedule wants one and every stream has something new, so that cameras with the same stamps
 * are used together. One control tick later the newest set is enough, because a stream may be slower than the ticks. One
 * inference is in flight at a time, and the newest observation is used for the next. After an engine failure the stop
 * action is sent and the engine is tried again one second later.
 *
 * In lock-step the command of a tick waits for every input of the tick's time, and then for the inference that is in flight
 * or that starts with these inputs. A refusal, a fault or the next tick releases it, so no bad input can stop the
 * simulation.
 *
 * With an injected delay a chunk arrives at the first tick at or after its observation's stamp plus the delay, before the
 * command of that tick, or when it is computed if that is later. The inference is in flight until then. In lock-step a tick
 * waits for it only from then on, so the ticks before it execute the previous chunk.
 */
export class Pipeline {
  /**
   * Limits of the camera images. Beyond an aspect ratio of the model's image size, the shorter side would be resized to 0
   * pixels.
   */
  readonly imageLimits: SizeLimits;
  readonly #config: PolicyConfig;
  readonly #policy: PolicyLike;
  readonly #engine: Engine;
  readonly #sink: PipelineSink;
  readonly #clock: (() => bigint) | undefined;
  readonly #tool: ToolGuard | undefined;
  readonly #observer: Observer;
  readonly #schedule: Schedule;
  readonly #counters: Counters;
  readonly #throttle = new ReportThrottle();
  #active = false;
  #generation = 0;
  /** The newest `now` of any event. */
  #latestTime = 0n;
  #inference: Inference | undefined;
  /** No inference starts before this time, ns. */
  #retryAt = 0n;
  /** The robot was stopped at this time, ns: only observations with newer stamps are used. */
  #stoppedAt = -1n;
  /** No inference starts. */
  #blocked = false;
  /** Whether at the last tick an inference was wanted but could not start. */
  #wantedAtLastTick = false;
  /** Lock-step: time of the tick whose command is withheld. */
  #pendingTick: bigint | undefined;

  /**
   * @param clock ROS time, ns, for what happens between events, such as the arrival of a chunk; without one the time of the
   * latest event is used. @param tool checks chunks and commands; undefined where the tool is not limited.
   */
  constructor(
    config: PolicyConfig,
    policy: PolicyLike,
    engine: Engine,
    sink: PipelineSink,
    clock?: () => bigint,
    tool?: ToolGuard,
  ) {
    this.imageLimits = { ...config.image, maxAspectRatio: engine.info.imageSize };
    this.#config = config;
    this.#policy = policy;
    this.#engine = engine;
    this.#sink = sink;
    this.#clock = clock;
    this.#counters = new Counters(config.cameras.map(({ name }) => name));
    this.#tool = tool;
    this.#schedule = new Schedule(config);
    this.#observer = new Observer(config);
  }

  get statistics(): PipelineStatistics {
    return this.#counters.snapshot(this.#active);
  }

  /** Changes whenever the inputs are forgotten: at activation and when the clock jumps back. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * A message of this camera arrived and its decode begins; `offerAnnouncedFrame` follows.
   * @returns whether the frame is wanted: false while the pipeline is inactive.
   */
  announceFrame(camera: string, now: bigint): boolean {
    if (!this.#advanceTime(now)) return false;
    this.#counters.countFrame(camera, 'offered');
    this.#observer.announceFrame(camera);
    return true;
  }

  /** An announced message was replaced by a newer one before its decode. */
  dropFrame(camera: string): void {
    this.#counters.countFrame(camera, 'dropped');
  }

  /**
   * The decode of an announced message ended; for messages of the current generation only. If the pipeline was deactivated
   * meanwhile, a refusal is still reported.
   * @param frame as for `offerFrame`.
   */
  offerAnnouncedFrame(camera: string, frame: CameraFrame | Refusal): void {
    this.#handleFrame(camera, frame, this.#now());
  }

  /** @param frame a frame, whose pixels are kept, not copied; or the refusal of the camera's message. */
  offerFrame(camera: string, frame: CameraFrame | Refusal, now: bigint): void {
    if (!this.#advanceTime(now)) return;
    this.#counters.countFrame(camera, 'offered');
    this.#handleFrame(camera, frame, now);
  }

  offerJoints(reading: JointReading, now: bigint): void {
    if (this.#advanceTime(now)) this.#handleOffer(this.#observer.offerJoints(reading, now), now);
  }

  /** Reports a message that could not be read. */
  refuse(refusal: Refusal, now: bigint): void {
    if (this.#advanceTime(now)) this.#refuse(refusal);
  }

  /** A new prompt ends the execution of the old one: the robot holds until a chunk for the new prompt arrives. */
  setPrompt(text: string, now: bigint): void {
    if (text === this.#observer.prompt) return;
    this.#observer.prompt = text;
    if (!this.#advanceTime(now)) return;
    this.#schedule.reset();
    this.#retryAt = now;
    this.#startInferenceIfReady(now, false);
  }

  activate(now: bigint): void {
    if (this.#active) return;
    this.#active = true;
    this.#resetInputs(now);
    this.#schedule.activate();
    this.#tool?.reset();
  }

  /** Sends the stop action, once; a chunk that is still being computed is dropped. */
  deactivate(now: bigint): void {
    if (!this.#advanceTime(now)) return;
    this.#active = false;
    this.#pendingTick = undefined;
    this.#send(this.#schedule.deactivate(now, this.#observer.measuredPositions(now)));
  }

  /**
   * Sends the stop action, once, and drops the plan. It continues with a chunk of an observation that is newer than `now`.
   * @param fault why.
   */
  stop(now: bigint, fault: Pi05Error<FaultCode>): void {
    if (!this.#active) return;
    this.#stop(now, fault);
  }

  /**
   * The robot was stopped at `time` by another process: drops the plan, as `stop` does. @param fault reported and counted.
   * @returns the stop action, which is not sent; undefined where it was sent already.
   */
  robotStopped(time: bigint, fault?: Pi05Error<FaultCode>): Command | undefined {
    if (!this.#active) return undefined;
    const stopAction = this.#dropPlan(time);
    if (fault !== undefined) this.#fault(fault);
    return stopAction;
  }

  /** While blocked, no inference starts: after `stop` the robot stays stopped. */
  set blocked(blocked: boolean) {
    this.#blocked = blocked;
  }

  /** One control tick. @param latenessNs time from when it was due to `now`. */
  tick(now: bigint, latenessNs: bigint): void {
    if (!this.#advanceTime(now)) return;
    this.#counters.tickLatenessMs.add(toMilliseconds(latenessNs));
    this.#checkTickLateness(now, latenessNs);
    this.#releaseTick();
    // Before the arrival of a delayed chunk, so that it does not matter when the engine was done.
    const engineLate = this.#schedule.checkEngine(now);
    this.#handleArrival(now);
    if (this.#config.schedule.lockstep) this.#pendingTick = now;
    else this.#sendCommand(now);
    for (const refusal of this.#observer.checkConditions(now)) this.#refuse(refusal);
    this.#reportCondition('ENGINE_LATE', engineLate, now);
    this.#startInferenceIfReady(now, !this.#wantedAtLastTick);
    this.#wantedAtLastTick = this.#inference === undefined && this.#schedule.wantsInference;
  }

  /** Whether the pixels of an offered frame are still needed. Those of the inference in flight are not counted. */
  isInUse(data: Uint8Array): boolean {
    return this.#observer.isInUse(data);
  }

  /** Resolves when the engine has nothing to compute. */
  async idle(): Promise<void> {
    while (this.#inference !== undefined && this.#inference.handleResult === undefined) await this.#inference.computed;
  }

  #now(): bigint {
    return this.#clock?.() ?? this.#latestTime;
  }

  /** Whether the pipeline is active. Forgets the inputs and the plan when the clock has jumped back (a simulation's reset). */
  #advanceTime(now: bigint): boolean {
    if (this.#active && now < this.#latestTime - CLOCK_JUMP) {
      this.#resetInputs(now);
      this.#schedule.reset();
    }
    if (now > this.#latestTime) this.#latestTime = now;
    return this.#active;
  }

  #resetInputs(now: bigint): void {
    this.#generation++;
    this.#latestTime = now;
    this.#retryAt = now;
    this.#stoppedAt = -1n;
    // Its chunk is not used, so it delays nothing.
    if (this.#inference !== undefined) this.#inference.arrivesAt = 0n;
    this.#throttle.clearAll();
    this.#observer.reset(now);
  }

  #handleFrame(camera: string, frame: CameraFrame | Refusal, now: bigint): void {
    const result = this.#observer.offerFrame(camera, frame, now);
    if (result.accepted) this.#counters.countFrame(camera, 'accepted');
    this.#handleOffer(result, now);
  }

  #handleOffer({ accepted, refusals }: OfferResult, now: bigint): void {
    for (const refusal of refusals) this.#refuse(refusal);
    if (accepted) this.#startInferenceIfReady(now);
  }

  /**
   * Starts an inference where one is wanted and possible; in lock-step, sends the withheld command where there is none.
   * @param requireAllNew whether every stream must have something new, not just one.
   */
  #startInferenceIfReady(now: bigint, requireAllNew = true): void {
    if (!this.#active) return;
    const { lockstep } = this.#config.schedule;
    if (lockstep && (this.#pendingTick === undefined || !this.#observer.isComplete(now, this.#pendingTick))) return;
    const idle = this.#inference === undefined && !this.#blocked && now >= this.#retryAt;
    const wanted = idle && this.#schedule.wantsInference;
    const observation = wanted ? this.#takeObservation(now, requireAllNew && !lockstep) : undefined;
    if (observation !== undefined) this.#startInference(observation, now);
    if (this.#inference === undefined || now < this.#inference.arrivesAt) this.#releaseTick();
  }

  #takeObservation(now: bigint, requireAllNew: boolean): Observation | undefined {
    const { observation, refusals } = this.#observer.takeObservation(now, requireAllNew);
    for (const refusal of refusals) this.#refuse(refusal);
    return observation !== undefined && observation.stamp > this.#stoppedAt ? observation : undefined;
  }

  #startInference(observation: Observation, now: bigint): void {
    let request: InferRequest;
    try {
      const { flowSteps } = this.#config;
      request = { ...this.#policy.prepare(observation), ...(flowSteps > 0 ? { steps: flowSteps } : {}) };
    } catch (error) {
      if (!(error instanceof Refusal)) this.#fail(error, now);
      else this.#refusePrompt(error, now);
      return;
    }
    this.#counters.observations++;
    for (const { camera } of observation.views) this.#counters.countFrame(camera, 'used');
    const ticket = this.#schedule.requestInference(now);
    const { injectedDelay } = this.#config.schedule;
    const inference: Inference = {
      arrivesAt: injectedDelay > 0n ? observation.stamp + injectedDelay : 0n,
      computed: this.#infer(request, observation, ticket)
        .then((handleResult) => {
          inference.handleResult = handleResult;
          this.#handleArrival(this.#now());
          this.#startInferenceIfReady(this.#now());
        })
        .catch((error: unknown) => this.#fail(error, this.#now())),
      handleResult: undefined,
    };
    this.#inference = inference;
  }

  /** Handles the result of the inference in flight once it is computed and its injected delay has passed. */
  #handleArrival(now: bigint): void {
    const inference = this.#inference;
    if (inference?.handleResult === undefined || now < inference.arrivesAt) return;
    this.#inference = undefined;
    try {
      inference.handleResult();
    } catch (error) {
      this.#fail(error, now);
    }
  }

  /**
   * Tries again one second later, because the digits of the state are part of the prompt. A new prompt is tried at once.
   */
  #refusePrompt(refusal: Refusal, now: bigint): void {
    this.#retryAt = now + RETRY_AFTER;
    this.#refuse(refusal);
  }

  /** Never rejects. @returns what to do with the result. */
  async #infer(request: InferRequest, observation: Observation, ticket: InferenceTicket): Promise<() => void> {
    try {
      const { actions, milliseconds } = await this.#engine.infer(request);
      const chunk = this.#policy.finish(actions, observation);
      return () => this.#handleChunk(chunk, milliseconds, ticket);
    } catch (error) {
      return () => this.#fail(error, this.#now());
    }
  }

  #handleChunk(chunk: ActionChunk, inferenceMs: number, ticket: InferenceTicket): void {
    const now = this.#now();
    let executed = chunk;
    const verdict = this.#schedule.accept(ticket, chunk, now, (firstRow) => {
      const end = this.#tool?.checkChunk(chunk, firstRow, this.#observer.measuredPositions(now));
      if (end !== undefined) executed = firstRows(chunk, end.rows);
      this.#reportCondition('WORKSPACE', end?.fault, now);
      return executed;
    });
    if (verdict === 'outdated') this.#counters.outdated++;
    else if (verdict === 'refused') this.#releaseTick();
    else if (verdict !== 'accepted') this.#fault(verdict);
    else {
      const latencyMs = toMilliseconds(now - chunk.stamp);
      this.#counters.chunks++;
      this.#counters.inferenceMs.add(inferenceMs);
      this.#counters.latencyMs.add(latencyMs);
      this.#sink.chunk(executed, { inferenceMs, latencyMs });
    }
  }

  #fail(error: unknown, now: bigint): void {
    const reason = errorMessage(error);
    this.#retryAt = now + RETRY_AFTER;
    const lost = error instanceof Pi05Error && error.code === 'DEVICE_LOST';
    this.#stop(
      now,
      new Pi05Error(
        lost ? 'DEVICE_LOST' : 'ENGINE_FAILED',
        `Expected a chunk from the engine, received an error (${reason})`,
        'engine',
      ),
    );
  }

  #stop(now: bigint, fault: Pi05Error<FaultCode>): void {
    this.#send(this.#dropPlan(now), fault);
    this.#fault(fault);
  }

  #dropPlan(time: bigint): Command | undefined {
    if (time > this.#stoppedAt) this.#stoppedAt = time;
    this.#tool?.reset();
    return this.#schedule.stop(time, this.#observer.measuredPositions(time));
  }

  #checkTickLateness(now: bigint, latenessNs: bigint): void {
    const { maxTickLateness } = this.#config.schedule;
    const [received, expected] = [latenessNs, maxTickLateness].map((ns) => toMilliseconds(ns).toFixed(1));
    const sentence = `Expected a control tick at most ${expected} ms late, received one ${received} ms late`;
    const late = latenessNs > maxTickLateness ? new Pi05Error('TICK_LATE', sentence, 'tick') : undefined;
    this.#reportCondition('TICK_LATE', late, now);
  }

  #sendCommand(now: bigint): void {
    this.#pendingTick = undefined;
    const measured = this.#observer.measuredPositions(now);
    const { command, fault } = this.#schedule.tick(now, measured);
    const outside = command && this.#tool?.checkCommand(command, measured);
    if (outside !== undefined) return this.stop(now, outside);
    this.#send(command, fault);
    const underrun = fault?.code === 'COMMAND_STARVED' ? fault : undefined;
    this.#reportCondition('COMMAND_STARVED', underrun, now);
    if (fault !== undefined && underrun === undefined) this.#fault(fault);
  }

  /** @param fault undefined where the condition is not present at `now`. */
  #reportCondition(code: FaultCode, fault: Pi05Error<FaultCode> | undefined, now: bigint): void {
    if (fault === undefined) this.#throttle.clear(code);
    else if (this.#throttle.shouldReport(code, now)) this.#fault(fault);
    else this.#releaseTick();
  }

  /** Sends the command that a tick withheld, if there is one. */
  #releaseTick(): void {
    if (this.#pendingTick !== undefined) this.#sendCommand(this.#pendingTick);
  }

  #send(command: Command | undefined, cause?: Pi05Error<FaultCode>): void {
    if (command === undefined) return;
    this.#counters.commands[command.reason]++;
    this.#sink.command(command, cause);
  }

  #refuse(refusal: Refusal): void {
    this.#counters.countRefusal(refusal);
    this.#sink.refusal(refusal);
    this.#releaseTick();
  }

  #fault(fault: Pi05Error<FaultCode>): void {
    this.#counters.countFault(fault);
    this.#sink.fault(fault);
    this.#releaseTick();
  }
}

function firstRows(chunk: ActionChunk, rows: number): ActionChunk {
  return { ...chunk, rows, values: chunk.values.slice(0, rows * chunk.joints.length) };
}
