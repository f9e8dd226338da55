import type { PolicyConfig } from '../config/config.js';
import type { Engine, InferRequest } from '../engine/engine.js';
import { Pi05Error, Refusal } from '../errors.js';
import type { RunCode } from '../errors.js';
import type {
  ActionChunk,
  CameraFrame,
  Command,
  CompressedImage,
  JointReading,
  Observation,
  RawImage,
} from '../frame/frame.js';
import { Observer } from '../observation/observer.js';
import { ReportThrottle } from '../report-throttle.js';
import { Schedule } from '../schedule/schedule.js';
import type { Ticket } from '../schedule/schedule.js';
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

/** Where results go. A sink that throws on a chunk counts as a failed engine: the robot is stopped. `fault` must not throw. */
export interface PipelineSink {
  /** Once for each accepted chunk, when it is accepted. */
  chunk(chunk: ActionChunk, timing: ChunkTiming): void;
  command(command: Command): void;
  /** Each refused message; a condition that lasts when it begins and once a second after. */
  refusal(refusal: Refusal): void;
  fault(fault: Pi05Error<RunCode>): void;
}

export interface ChunkTiming {
  readonly inferenceMs: number;
  /** From the observation's stamp to now. */
  readonly latencyMs: number;
}

const RETRY_AFTER = SECOND;
/** A clock that goes back by more than this has jumped, ns; by less it was corrected. */
const BACK = 50_000_000n;

/**
 * Observation → policy → engine → schedule. Knows nothing of ROS: messages come in decoded, every event carries `now`
 * (ROS time, ns), results go to a sink. What is offered while inactive is ignored, but for the prompt.
 *
 * An inference starts when the schedule wants one and every stream has something new, so that cameras that share their
 * stamps are seen together; a tick later the newest set will do, for a stream may be slower than the ticks. One is in
 * flight at a time and the newest observation wins. After an engine failure the stop action is sent and the engine is
 * tried again a second later.
 *
 * In lock-step a tick keeps its command back until every input of its own time is there and the inference is done that is
 * wanted then or still in flight. A refusal, a fault or the next tick releases it, so that no bad input can stop the simulation.
 */
export class Pipeline {
  readonly #config: PolicyConfig;
  readonly #policy: PolicyLike;
  readonly #engine: Engine;
  readonly #sink: PipelineSink;
  readonly #clock: (() => bigint) | undefined;
  readonly #observer: Observer;
  readonly #schedule: Schedule;
  readonly #counters = new Counters();
  readonly #throttle = new ReportThrottle();
  #active = false;
  /** The newest `now` of any event. */
  #latest = 0n;
  #inference: Promise<void> | undefined;
  /** No inference before this, ns. */
  #retryAt = 0n;
  /** Whether an inference was wanted at the last tick, and none was under way after it. */
  #waiting = false;
  /** Lock-step: the tick whose command is still owed. */
  #owed: bigint | undefined;

  /**
   * @param clock ROS time now, ns, for what happens between events (a chunk or a decoded image arriving); without one the
   * time of the latest event stands for it.
   */
  constructor(config: PolicyConfig, policy: PolicyLike, engine: Engine, sink: PipelineSink, clock?: () => bigint) {
    this.#config = config;
    this.#policy = policy;
    this.#engine = engine;
    this.#sink = sink;
    this.#clock = clock;
    this.#schedule = new Schedule(config);
    this.#observer = new Observer(
      config,
      (refusal) => this.#refuse(refusal),
      () => this.#consider(this.#now()),
      () => this.#now(),
    );
  }

  get statistics(): PipelineStatistics {
    return this.#counters.snapshot(this.#active);
  }

  offerImage(camera: string, image: RawImage, now: bigint): void {
    if (this.#advance(now) && this.#observer.offerImage(camera, image, now)) this.#consider(now);
  }

  /** @param decoded its decode, where that is under way already. */
  offerCompressed(camera: string, image: CompressedImage, now: bigint, decoded?: Promise<CameraFrame>): void {
    if (this.#advance(now)) this.#observer.offerCompressed(camera, image, decoded);
  }

  offerJoints(reading: JointReading, now: bigint): void {
    if (this.#advance(now) && this.#observer.offerJoints(reading, now)) this.#consider(now);
  }

  /** A message that was refused before it could be offered. */
  refuse(refusal: Refusal, now: bigint): void {
    if (this.#advance(now)) this.#refuse(refusal);
  }

  /** A new prompt ends what is executed of the old one: the robot holds until a chunk for the new prompt arrives. */
  setPrompt(text: string, now: bigint): void {
    if (text === this.#observer.prompt) return;
    this.#observer.prompt = text;
    if (!this.#advance(now)) return;
    this.#schedule.reset();
    this.#retryAt = now;
    this.#consider(now, false);
  }

  activate(now: bigint): void {
    if (this.#active) return;
    this.#active = true;
    this.#latest = now;
    this.#retryAt = now;
    this.#throttle.clearAll();
    this.#observer.reset(now);
    this.#schedule.activate();
  }

  /** Sends the stop action, once; a chunk still being computed is dropped. */
  deactivate(now: bigint): void {
    if (!this.#advance(now)) return;
    this.#active = false;
    this.#owed = undefined;
    this.#send(this.#schedule.deactivate(now, this.#observer.measured(now)));
  }

  /** One control tick. @param latenessNs how much later than due it comes. */
  tick(now: bigint, latenessNs: bigint): void {
    if (!this.#advance(now)) return;
    this.#counters.tickLatenessMs.add(toMilliseconds(latenessNs));
    this.#watchTick(now, latenessNs);
    if (this.#owed !== undefined) this.#command(this.#owed);
    if (this.#config.schedule.lockstep) this.#owed = now;
    else this.#command(now);
    this.#observer.watch(now);
    this.#lasting('ENGINE_LATE', this.#schedule.watch(now), now);
    this.#consider(now, !this.#waiting);
    this.#waiting = this.#inference === undefined && this.#schedule.wantsInference;
  }

  /** Whether pixels that were offered are still to be looked at; those of the inference in flight apart. */
  holds(data: Uint8Array): boolean {
    return this.#observer.holds(data);
  }

  /** Resolves when no decode is in flight. */
  decoded(): Promise<void> {
    return this.#observer.idle();
  }

  /** Resolves when no inference and no decode is in flight. */
  async idle(): Promise<void> {
    do {
      await this.#observer.idle();
      await this.#inference;
    } while (this.#inference !== undefined);
  }

  #now(): bigint {
    return this.#clock?.() ?? this.#latest;
  }

  /** Whether the pipeline is active; starts over with the inputs when time has jumped back (a simulation's reset). */
  #advance(now: bigint): boolean {
    if (this.#active && now < this.#latest - BACK) {
      this.#observer.reset(now);
      this.#schedule.reset();
      this.#throttle.clearAll();
      this.#retryAt = now;
      this.#latest = now;
    }
    if (now > this.#latest) this.#latest = now;
    return this.#active;
  }

  /**
   * Starts an inference where one is wanted and possible; in lock-step, gives the owed command where there is none.
   * @param whole whether every stream must have something new, not just one.
   */
  #consider(now: bigint, whole = true): void {
    if (!this.#active || this.#inference !== undefined) return;
    const { lockstep } = this.#config.schedule;
    if (lockstep && (this.#owed === undefined || !this.#observer.isComplete(now, this.#owed))) return;
    const wanted = this.#schedule.wantsInference && now >= this.#retryAt;
    const observation = wanted ? this.#observer.take(now, whole && !lockstep) : undefined;
    if (observation !== undefined) this.#start(observation, now);
    else this.#release();
  }

  #start(observation: Observation, now: bigint): void {
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
    const ticket = this.#schedule.ask(now);
    this.#inference = this.#infer(request, observation, ticket)
      .then((settle) => {
        this.#inference = undefined;
        settle();
        this.#consider(this.#now());
      })
      .catch((error: unknown) => this.#fail(error, this.#now()));
  }

  /** Said, and tried again, once a second: the numbers of the state are part of the prompt. A new prompt is tried at once. */
  #refusePrompt(refusal: Refusal, now: bigint): void {
    this.#retryAt = now + RETRY_AFTER;
    this.#refuse(refusal);
  }

  /** Never rejects; what is to be done about the outcome is the result. */
  async #infer(request: InferRequest, observation: Observation, ticket: Ticket): Promise<() => void> {
    try {
      const { actions, milliseconds } = await this.#engine.infer(request);
      const chunk = this.#policy.finish(actions, observation);
      return () => this.#arrive(chunk, milliseconds, ticket);
    } catch (error) {
      return () => this.#fail(error, this.#now());
    }
  }

  #arrive(chunk: ActionChunk, inferenceMs: number, ticket: Ticket): void {
    const now = this.#now();
    const verdict = this.#schedule.accept(ticket, chunk, now);
    if (verdict === 'outdated') this.#counters.outdated++;
    else if (verdict !== 'accepted') this.#fault(verdict);
    else {
      const latencyMs = toMilliseconds(now - chunk.stamp);
      this.#counters.chunks++;
      this.#counters.inferenceMs.add(inferenceMs);
      this.#counters.latencyMs.add(latencyMs);
      this.#sink.chunk(chunk, { inferenceMs, latencyMs });
    }
  }

  #fail(error: unknown, now: bigint): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#retryAt = now + RETRY_AFTER;
    this.#send(this.#schedule.stop(now, this.#observer.measured(now)));
    const lost = error instanceof Pi05Error && error.code === 'DEVICE_LOST';
    this.#fault(
      new Pi05Error(
        lost ? 'DEVICE_LOST' : 'ENGINE_FAILED',
        `Expected a chunk from the engine, received an error (${reason})`,
        'engine',
      ),
    );
  }

  #watchTick(now: bigint, latenessNs: bigint): void {
    const { maxTickLateness } = this.#config.schedule;
    const [received, expected] = [latenessNs, maxTickLateness].map((ns) => toMilliseconds(ns).toFixed(1));
    const sentence = `Expected a control tick at most ${expected} ms late, received one ${received} ms late`;
    const late = latenessNs > maxTickLateness ? new Pi05Error('TICK_LATE', sentence, 'tick') : undefined;
    this.#lasting('TICK_LATE', late, now);
  }

  #command(now: bigint): void {
    this.#owed = undefined;
    const { command, fault } = this.#schedule.next(now, this.#observer.measured(now));
    this.#send(command);
    const starved = fault?.code === 'COMMAND_STARVED' ? fault : undefined;
    this.#lasting('COMMAND_STARVED', starved, now);
    if (fault !== undefined && starved === undefined) this.#fault(fault);
  }

  /** A fault that holds at `now`, or none: said when it begins and once a second. */
  #lasting(code: RunCode, fault: Pi05Error<RunCode> | undefined, now: bigint): void {
    if (fault === undefined) this.#throttle.clear(code);
    else if (this.#throttle.shouldReport(code, now)) this.#fault(fault);
    else this.#release();
  }

  #release(): void {
    if (this.#owed !== undefined) this.#command(this.#owed);
  }

  #send(command: Command | undefined): void {
    if (command === undefined) return;
    this.#counters.commands[command.reason]++;
    this.#sink.command(command);
  }

  #refuse(refusal: Refusal): void {
    this.#counters.refused(refusal);
    this.#sink.refusal(refusal);
    this.#release();
  }

  #fault(fault: Pi05Error<RunCode>): void {
    this.#counters.failed(fault);
    this.#sink.fault(fault);
    this.#release();
  }
}
