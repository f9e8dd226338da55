import type { PolicyConfig } from '../config/config.js';
import type { SizeLimits } from '../decode/image.js';
import type { Engine, InferRequest } from '../engine/engine.js';
import { type FaultCode, type Pi05Error, Refusal } from '../errors.js';
import type { ActionChunk, CameraFrame, Command, JointReading, Observation } from '../frame/frame.js';
import { Observer, type OfferResult } from '../observation/observer.js';
import { type InferenceTicket, Schedule } from '../schedule/schedule.js';
import { firstRows, type ToolGuard } from '../schedule/tool-guard.js';
import { CLOCK_JUMP, SECOND, toMilliseconds } from '../time.js';
import { clockBackwards, engineFailed, promptChanging, tickLate } from './faults.js';
import { earliestArrival } from './injected-delay.js';
import type { Inference, PipelineSink, PolicyLike } from './interfaces.js';
import { Reporter } from './reporter.js';
import { inferRequest } from './request.js';
import { Counters, type PipelineStatistics } from './statistics.js';

/** Time without inference after an engine failure or a refused prompt, ns. */
const RETRY_AFTER = SECOND;
/** Faults that last as long as the robot holds. */
const LASTING = ['COMMAND_STARVED', 'CHUNK_STALE'] as const;

/**
 * Observation → policy → engine → schedule. Knows nothing of ROS: inputs are decoded, every event carries `now` (ROS
 * time, ns), results go to a sink. Inputs are ignored while the pipeline is inactive, except for the prompt.
 *
 * An inference starts when the schedule wants one and every stream has something new, so that cameras with the same stamps
 * are used together. One control tick later the newest set is enough, because a stream may be slower than the ticks. One
 * inference is in flight at a time, and the newest observation is used for the next. After an engine failure the plan goes on to
 * its end, then the stop action is sent; the engine is tried again one second after the failure.
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
  readonly #clock: (() => bigint) | undefined;
  readonly #tool: ToolGuard | undefined;
  readonly #observer: Observer;
  readonly #schedule: Schedule;
  readonly #counters: Counters;
  readonly #reporter: Reporter;
  #active = false;
  #generation = 0;
  /** The newest `now` of any event. */
  #latestTime = 0n;
  #inference: Inference | undefined;
  /** No inference starts before this time, ns. */
  #retryAt = 0n;
  /** No inference starts, and outside lock-step no command is sent. */
  #blocked = false;
  /** Whether at the last tick an inference was wanted but could not start. */
  #wantedAtLastTick = false;
  /** Lock-step: time of the tick whose command is withheld. */
  #pendingTick: bigint | undefined;
  /** Time of the last tick, ns. */
  #lastTick = 0n;
  /** Lock-step: an input of the next tick was refused, so that tick must not wait for it. */
  #isNextTickRefused = false;
  /** Inferences in a row whose prompt changed before their chunk arrived. */
  #promptChanges = 0;

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
    this.#clock = clock;
    this.#counters = new Counters(config.cameras.map(({ name }) => name));
    this.#tool = tool;
    this.#schedule = new Schedule(config, engine.info.rtcTrainedMaxDelay);
    this.#reporter = new Reporter(sink, this.#counters, () => this.#releaseTick());
    this.#observer = new Observer(config);
  }

  get statistics(): PipelineStatistics {
    return this.#counters.snapshot(this.#active, this.#schedule.delay, this.#schedule.quality);
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

  /** @param topic full name; absent = `state.topic`. */
  offerJoints(reading: JointReading, now: bigint, topic?: string): void {
    if (this.#advanceTime(now)) this.#handleOffer(this.#observer.offerJoints(reading, now, topic), now, reading.stamp);
  }

  /** Reports a message that could not be decoded. Its `source` is the topic. */
  refuse(refusal: Refusal, now: bigint): void {
    if (!this.#advanceTime(now)) return;
    if (refusal.source !== undefined) this.#observer.announceUnread(refusal.source);
    this.#refuseInput([refusal]);
  }

  /** A new prompt ends the execution of the old one: the robot holds until a chunk for the new prompt arrives. */
  setPrompt(text: string, now: bigint): void {
    if (text === this.#observer.prompt) return;
    this.#observer.prompt = text;
    if (!this.#advanceTime(now)) return;
    if (this.#inference?.promptChanged === false) {
      this.#inference.promptChanged = true;
      this.#promptChanges++;
    }
    this.#schedule.reset();
    this.#retryAt = now;
    this.#startInferenceIfReady(now, false);
  }

  activate(now: bigint): void {
    if (this.#active) return;
    this.#active = true;
    this.#promptChanges = 0;
    this.#resetInputs(now);
    this.#schedule.activate();
    this.#tool?.reset();
  }

  /** Sends the stop action, once; a chunk that is still being computed is dropped. */
  deactivate(now: bigint): void {
    if (!this.#advanceTime(now)) return;
    this.#active = false;
    this.#pendingTick = undefined;
    this.#sendStop(this.#schedule.deactivate(now, this.#observer.measuredPositions(now)));
  }

  /**
   * Drops the plan and sends the stop action, once, if a command was sent before. Only observations newer than `now` are used
   * from then on. @param fault why.
   */
  stop(now: bigint, fault: Pi05Error<FaultCode>): void {
    if (!this.#active) return;
    this.#sendStop(this.#schedule.halt(now, this.#observer.measuredPositions(now)), fault);
  }

  /**
   * The robot was stopped at `time` by another process: drops the plan, as `stop` does. @param fault reported and counted.
   * @returns the stop action, which is not sent; undefined where it was sent already.
   */
  robotStopped(time: bigint, fault?: Pi05Error<FaultCode>): Command | undefined {
    if (!this.#active) return undefined;
    // To the other process the time has not gone back yet.
    if (time > this.#now() + CLOCK_JUMP) time = this.#now();
    // The answer to a stop of this pipeline, after which new inputs may already have arrived.
    if (fault === undefined && !this.#schedule.isUsable(time)) return undefined;
    this.#tool?.reset();
    const stopAction = this.#schedule.stop(time, this.#observer.measuredPositions(time));
    this.#reporter.fault(fault);
    return stopAction;
  }

  /** While blocked, no inference starts and no holds are sent: after `stop` the robot stays stopped. */
  set blocked(blocked: boolean) {
    this.#blocked = blocked;
  }

  /** One control tick. @param latenessNs time from when it was due to `now`. */
  tick(now: bigint, latenessNs: bigint): void {
    if (!this.#advanceTime(now)) return;
    this.#counters.ticks++;
    this.#counters.tickLatenessMs.add(toMilliseconds(latenessNs));
    const { maxTickLateness, lockstep } = this.#config.schedule;
    this.#reporter.condition('TICK_LATE', tickLate(latenessNs, maxTickLateness), now);
    this.#releaseTick();
    // Before the arrival of a delayed chunk, so that it does not matter when the engine was done.
    const engineLate = this.#schedule.checkEngine(now);
    if (lockstep) this.#pendingTick = now;
    this.#lastTick = now;
    this.#handleArrival(now);
    this.#sendSkipped(now);
    if (!lockstep && !this.#blocked) this.#sendCommand(now, latenessNs);
    for (const refusal of this.#observer.checkConditions(now)) this.#reporter.refusal(refusal);
    this.#reporter.condition('ENGINE_LATE', engineLate, now);
    this.#reporter.condition('PROMPT_CHANGING', promptChanging(this.#promptChanges), now);
    this.#startInferenceIfReady(now, !this.#wantedAtLastTick);
    if (this.#isNextTickRefused) this.#releaseTick();
    this.#isNextTickRefused = false;
    this.#wantedAtLastTick = this.#inference === undefined && this.#schedule.wantsInference;
  }

  /** Whether an inference is wanted and nothing but the inputs of its observation can be missing. */
  get wantsObservation(): boolean {
    const idle = this.#active && this.#inference === undefined && !this.#blocked && this.#latestTime >= this.#retryAt;
    return idle && this.#schedule.wantsInference && !this.#observer.isPromptEmpty;
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

  /** Whether the pipeline is active. When the clock has jumped back, the robot is stopped and the inputs are forgotten. */
  #advanceTime(now: bigint): boolean {
    if (this.#active && now < this.#latestTime - CLOCK_JUMP) this.#restartClock(now);
    if (now > this.#latestTime) this.#latestTime = now;
    return this.#active;
  }

  #restartClock(now: bigint): void {
    const previous = this.#latestTime;
    const stopAction = this.#schedule.restartClock(now, this.#observer.measuredPositions(previous));
    this.#resetInputs(now);
    // In lock-step it is the reset of a simulation.
    if (!this.#config.schedule.lockstep) this.#sendStop(stopAction, clockBackwards(previous - now));
  }

  #resetInputs(now: bigint): void {
    this.#generation++;
    this.#latestTime = now;
    this.#lastTick = 0n;
    this.#isNextTickRefused = false;
    this.#retryAt = now;
    // Its chunk is not used, so it delays nothing.
    if (this.#inference !== undefined) this.#inference.arrivesAt = 0n;
    this.#reporter.reset();
    this.#observer.reset(now);
  }

  #handleFrame(camera: string, frame: CameraFrame | Refusal, now: bigint): void {
    const result = this.#observer.offerFrame(camera, frame, now);
    if (result.outcome === 'accepted') this.#counters.countFrame(camera, 'accepted');
    this.#handleOffer(result, now, frame instanceof Refusal ? undefined : frame.stamp);
  }

  #handleOffer({ outcome, refusals }: OfferResult, now: bigint, stamp: bigint | undefined): void {
    if (outcome === 'refused') this.#refuseInput(refusals, stamp);
    if (outcome === 'accepted') this.#startInferenceIfReady(now);
  }

  /**
   * @param refusals to report; none where that was done recently.
   * @param stamp of the input; where it is not known, an input after a tick's command belongs to the next tick.
   */
  #refuseInput(refusals: readonly Refusal[], stamp?: bigint): void {
    const isOfNextTick = stamp === undefined ? this.#pendingTick === undefined : stamp > this.#lastTick;
    this.#isNextTickRefused ||= isOfNextTick;
    for (const refusal of refusals) this.#reporter.refusal(refusal);
    this.#releaseTick();
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
    for (const refusal of refusals) this.#reporter.refusal(refusal);
    return observation !== undefined && this.#schedule.isUsable(observation.stamp) ? observation : undefined;
  }

  #startInference(observation: Observation, now: bigint): void {
    let request: InferRequest;
    try {
      request = inferRequest(this.#policy, this.#schedule, observation, this.#config.flowSteps);
    } catch (error) {
      if (!(error instanceof Refusal)) return this.#fail(error, now);
      // Tried again later, because the digits of the state are part of the prompt. A new prompt is tried at once.
      this.#retryAt = now + RETRY_AFTER;
      return this.#reporter.refusal(error);
    }
    this.#counters.observations++;
    for (const { camera } of observation.views) this.#counters.countFrame(camera, 'used');
    this.#reporter.condition('RTC_DELAY', this.#schedule.checkDelay(), now);
    const ticket = this.#schedule.requestInference(now);
    const inference: Inference = {
      arrivesAt: earliestArrival(observation.stamp, this.#config.schedule),
      computed: this.#infer(request, observation, ticket)
        .then((handleResult) => {
          inference.handleResult = handleResult;
          this.#handleArrival(this.#now());
          this.#startInferenceIfReady(this.#now());
        })
        .catch((error: unknown) => this.#fail(error, this.#now())),
      handleResult: undefined,
      promptChanged: false,
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
    this.#sendSkipped(now);
    let executed = chunk;
    const verdict = this.#schedule.accept(ticket, chunk, now, (plan) => {
      const end = this.#tool?.checkChunk(plan.chunk, plan.nextRow, this.#observer.measuredPositions(now)?.positions);
      executed = end === undefined ? plan.chunk : firstRows(plan.chunk, end.rows);
      this.#reporter.condition('WORKSPACE', end?.fault, now);
      return executed;
    });
    if (verdict === 'outdated') this.#counters.outdated++;
    else if (verdict === 'refused') this.#releaseTick();
    else if (verdict !== 'accepted') this.#reporter.fault(verdict);
    else {
      this.#promptChanges = 0;
      this.#reporter.chunk(executed, { inferenceMs, latencyMs: toMilliseconds(now - chunk.stamp) });
      this.#reporter.fault(this.#schedule.checkAgeLimit());
    }
  }

  /** The plan goes on, unless the code latches. */
  #fail(error: unknown, now: bigint): void {
    this.#retryAt = now + RETRY_AFTER;
    const fault = engineFailed(error);
    const latches = this.#config.safety.latch.includes(fault.code);
    if (!latches && this.#schedule.failInference(now)) return this.#reporter.fault(fault);
    this.#sendStop(this.#schedule.stop(now, this.#observer.measuredPositions(now)), fault);
  }

  /** The stop action, if there is one, is the command of a tick that waits for one. */
  #sendStop(stopAction: Command | undefined, fault?: Pi05Error<FaultCode>): void {
    this.#tool?.reset();
    if (stopAction !== undefined) {
      this.#pendingTick = undefined;
      this.#reporter.command(stopAction, fault);
    }
    this.#reporter.fault(fault);
  }

  /** The commands of ticks that were skipped while a controller went on by itself. */
  #sendSkipped(now: bigint): void {
    if (this.#blocked) return;
    for (const due of this.#schedule.skippedTicks(now)) this.#sendCommand(due, 0n);
  }

  #sendCommand(now: bigint, latenessNs: bigint): void {
    this.#pendingTick = undefined;
    const measured = this.#observer.measuredPositions(now);
    const { command, fault, seam } = this.#schedule.tick(now, measured, latenessNs);
    const outside = command && this.#tool?.checkCommand(command, measured?.positions);
    if (outside !== undefined) return this.stop(now, outside);
    if (command?.reason === 'stop') return this.#sendStop(command, fault);
    if (command !== undefined) this.#reporter.command(command);
    if (seam !== undefined) this.#reporter.seam(seam);
    const lasting = command?.reason === 'hold' ? LASTING.find((code) => code === fault?.code) : undefined;
    for (const code of LASTING) this.#reporter.condition(code, code === lasting ? fault : undefined, now);
    if (fault !== undefined && lasting === undefined) this.#reporter.fault(fault);
    // Nothing to send is known yet; an input may change that.
    if (command === undefined && this.#config.schedule.lockstep) this.#pendingTick = now;
  }

  /** Sends the command that a tick withheld, if there is one. */
  #releaseTick(): void {
    if (this.#pendingTick !== undefined) this.#sendCommand(this.#pendingTick, 0n);
  }
}
