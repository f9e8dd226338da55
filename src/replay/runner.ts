import type { PolicyConfig } from '../config/config.js';
import type { Engine } from '../engine/engine.js';
import { Pi05Error, type FaultCode, Refusal } from '../errors.js';
import type { CameraFrame, CompressedImage, RawImage } from '../frame/frame.js';
import { policyInputs } from '../messages/inputs.js';
import { stampOnArrival } from '../pipeline/arrival-stamp.js';
import { Pipeline } from '../pipeline/pipeline.js';
import type { PipelineSink, PolicyLike } from '../pipeline/interfaces.js';
import type { PipelineStatistics } from '../pipeline/statistics.js';
import { SimulatedClock } from '../pipeline/simulated-clock.js';
import { SimulatedTicker } from '../pipeline/ticker.js';
import type { ToolGuard } from '../schedule/tool-guard.js';
import { type Percentiles, percentiles } from '../statistics.js';
import { SECOND, tickPeriod, toSeconds } from '../time.js';
import type { Bag, BagMessage } from './bag/bag.js';
import { BagTimeEngine } from './bag-time-engine.js';
import { type ReplayEvent, replayEvents } from './events.js';
import type { ReplayInput } from './inputs.js';
import type { ReplayListener } from './listener.js';
import { PixelBufferPool } from './pixel-buffer-pool.js';
import { isUntimed, messagesByStamp, StampDistances, stampNotes } from './stamps.js';

export interface ReplayOptions {
  readonly bag: Bag;
  /** The topics to read, from `replayInputs`. */
  readonly inputs: ReadonlyMap<string, ReplayInput>;
  /** With resolved topics. */
  readonly config: PolicyConfig;
  /** Whether time is that of the bag's `/clock`; else it is the time of recording. */
  readonly simulated: boolean;
  /** Whether time is that of the header stamps; not together with `simulated`. */
  readonly byStamps?: boolean;
  readonly policy: PolicyLike;
  readonly engine: Engine;
  /** Undefined where the tool is not limited. */
  readonly tool?: ToolGuard | undefined;
  /** Bag time that an inference takes, ns. */
  readonly latency: bigint;
  readonly listeners: readonly ReplayListener[];
  /** Called about ten times a second. */
  readonly progress?: (progress: ReplayProgress) => void;
}

export interface ReplayProgress {
  /** Bag time replayed so far, s. */
  readonly seconds: number;
  /** Bag time of the whole bag, s; undefined where it has no index. */
  readonly total: number | undefined;
  /** Bag time over real time so far. */
  readonly rate: number;
  readonly chunks: number;
  readonly refusals: number;
}

export interface ReplayOutcome {
  readonly statistics: PipelineStatistics;
  /** Time that the engine took, of all chunks. */
  readonly inferenceMs: Percentiles;
  /** Bag time from an observation's stamp to its chunk, of all chunks. */
  readonly latencyMs: Percentiles;
  /** Bag time replayed, s. */
  readonly seconds: number;
  /** Real time that the replay took, s. */
  readonly wallSeconds: number;
  /** The part of it that was spent waiting for the engine, s. */
  readonly engineSeconds: number;
  /** Why the bag could not be read to its end: one sentence. */
  readonly damage: string | undefined;
  /** One sentence each: messages that were left out, stamps that are far from the times of recording, a replay without chunks. */
  readonly notes: readonly string[];
  /** The engine failure that ended the replay. */
  readonly failure: Pi05Error<FaultCode> | undefined;
}

/** A longer gap between messages is a pause of the recorder, without control ticks, ns. */
const RECORDER_PAUSE = 60n * SECOND;
const PROGRESS_INTERVAL_MS = 100;

/** Replays a bag. The same bag and parameters give the same results, however fast the machine is. */
export async function replay(options: ReplayOptions): Promise<ReplayOutcome> {
  return await new Replay(options).run();
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #engine: BagTimeEngine;
  readonly #pipeline: Pipeline;
  readonly #ticker: SimulatedTicker;
  readonly #clock = new SimulatedClock();
  readonly #period: bigint;
  readonly #pool = new PixelBufferPool((data) => this.#pipeline.isInUse(data) || this.#engine.isInUse(data));
  readonly #inferenceMs: number[] = [];
  readonly #latencyMs: number[] = [];
  /** Bag time, ns. */
  #now = 0n;
  /** Whether there is a time yet: simulated time begins with the first message of `/clock`. */
  #timeKnown = false;
  /** When the next control tick is due, where time is the time of recording, ns. */
  #nextTick = 0n;
  /** Of the stamps from the times of recording. */
  readonly #distances = new StampDistances();
  /** Messages that were used, by topic. */
  readonly #received: Map<string, number>;
  /** Messages that were recorded at time 0. */
  #untimed = 0;
  #refusals = 0;
  #damage: string | undefined;
  #failure: Pi05Error<FaultCode> | undefined;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#received = new Map([...options.inputs.keys()].map((topic) => [topic, 0]));
    const { config, policy, engine, latency, tool } = options;
    this.#period = tickPeriod(config.controlRate);
    this.#engine = new BagTimeEngine(engine, latency, () => this.#now);
    this.#pipeline = new Pipeline(config, policy, this.#engine, this.#sink(), () => this.#now, tool);
    this.#ticker = new SimulatedTicker(config.schedule.lockstep ? 0n : this.#period, (now, lateness) =>
      this.#pipeline.tick(now, lateness),
    );
    this.#ticker.start();
  }

  async run(): Promise<ReplayOutcome> {
    const { bag, inputs, simulated, byStamps = false } = this.#options;
    const started = performance.now();
    const messages = this.#readable(
      byStamps ? messagesByStamp(bag, inputs, this.#distances) : bag.messages(new Set(inputs.keys())),
    );
    let first: bigint | undefined;
    let last = 0n;
    let lastProgress = started;
    for await (const event of replayEvents(messages, inputs, this.#pipeline.imageLimits, this.#pool)) {
      if (event.kind === 'prompt' && !simulated && isUntimed(event, bag)) {
        this.#pipeline.setPrompt(event.text, this.#now);
        continue;
      }
      if (!isUntimed(event, bag)) first ??= event.logTime;
      last = event.logTime;
      if (simulated) this.#setLogTime(last);
      else await this.#advanceTo(last);
      await this.#handle(event);
      if (event.kind === 'frame' && event.borrowed !== undefined) this.#pool.release(event.borrowed);
      await this.#deliverDueChunks(this.#now);
      await this.#drainListeners();
      if (this.#failure !== undefined) break;
      const now = performance.now();
      if (now - lastProgress < PROGRESS_INTERVAL_MS) continue;
      lastProgress = now;
      this.#reportProgress(first ?? last, last, now - started);
    }
    // A tick that is due at the very end comes after the last message.
    if (!simulated && this.#timeKnown && this.#failure === undefined) await this.#advanceTo(last + 1n);
    // The plan would go on.
    if (this.#failure !== undefined) this.#pipeline.deactivate(this.#now);
    await this.#drainListeners();
    const now = performance.now();
    if (first !== undefined) this.#reportProgress(first, last, now - started);
    return {
      statistics: this.#pipeline.statistics,
      inferenceMs: percentiles(this.#inferenceMs),
      latencyMs: percentiles(this.#latencyMs),
      seconds: toSeconds(last - (first ?? last)),
      wallSeconds: (now - started) / 1e3,
      engineSeconds: this.#engine.waitedMs / 1e3,
      damage: bag.damage ?? this.#damage,
      notes: this.#notes(),
      failure: this.#failure,
    };
  }

  /** The messages before the first damage of the bag, without those that have no time of recording. */
  async *#readable(messages: AsyncIterable<BagMessage>): AsyncGenerator<BagMessage, void, void> {
    const { bag, inputs, simulated } = this.#options;
    try {
      for await (const message of messages) {
        const { topic } = message;
        if (!simulated && isUntimed(message, bag)) {
          this.#untimed++;
          // A prompt that was published once before the first /clock counts from the start.
          if (inputs.get(topic)?.kind !== 'prompt') continue;
        }
        this.#received.set(topic, (this.#received.get(topic) ?? 0) + 1);
        yield message;
      }
    } catch (error) {
      if (!(error instanceof Pi05Error) || error.code !== 'BAG_DATA') throw error;
      this.#damage = error.message;
    }
  }

  /**
   * Where time is the time of recording: ticks and chunks that are due before `time`, and chunks that are due at it. A tick
   * that is due at the time of a message comes after the message.
   */
  async #advanceTo(time: bigint): Promise<void> {
    if (!this.#timeKnown) {
      this.#timeKnown = true;
      this.#setNow(time);
      this.#nextTick = time + this.#period;
      this.#pipeline.activate(time);
    }
    if (time - this.#nextTick > RECORDER_PAUSE) this.#nextTick = time;
    while (this.#nextTick < time) {
      await this.#deliverDueChunks(this.#nextTick);
      this.#setNow(this.#nextTick);
      this.#nextTick += this.#period;
      this.#pipeline.tick(this.#now, 0n);
      await this.#deliverDueChunks(this.#now);
      await this.#drainListeners();
      if (this.#failure !== undefined) return;
    }
    await this.#deliverDueChunks(time);
    this.#setNow(time);
  }

  /** Delivers the chunks that are due at `time` or before. */
  async #deliverDueChunks(time: bigint): Promise<void> {
    for (let due = this.#engine.due; due !== undefined && due <= time; due = this.#engine.due) {
      if (due > this.#now) this.#setNow(due);
      await this.#engine.deliver();
      await this.#drainListeners();
    }
  }

  async #handle(event: ReplayEvent): Promise<void> {
    const { listeners } = this.#options;
    const pipeline = this.#pipeline;
    const now = this.#now;
    switch (event.kind) {
      case 'clock':
        return await this.#setSimulatedTime(event.time);
      case 'prompt':
        return pipeline.setPrompt(event.text, now);
    }
    // Without a time there are no ages, so the pipeline is not active yet, as in the node.
    if (!this.#timeKnown) return;
    switch (event.kind) {
      case 'frame':
        this.#addDistance(event.topic, event.image.stamp, event.logTime);
        return this.#offerFrame(event.camera, event.image, event.frame);
      case 'joint_state':
        this.#addDistance(event.topic, event.reading.stamp, event.logTime);
        for (const listener of listeners) listener.joints?.(event.reading, now);
        return pipeline.offerJoints(event.reading, now, event.topic);
      case 'action':
        for (const listener of listeners) listener.action?.({ ...event.action, time: now }, now);
        return;
      case 'refusal':
        return pipeline.refuse(event.refusal, now);
    }
  }

  #addDistance(topic: string, stamp: bigint, logTime: bigint): void {
    const { simulated, byStamps } = this.#options;
    if (!simulated && byStamps !== true && stamp !== 0n) this.#distances.add(topic, stamp - logTime);
  }

  #notes(): string[] {
    const { config, byStamps = false } = this.#options;
    const hasChunks = this.#inferenceMs.length > 0;
    const limits = [
      ...config.cameras,
      ...policyInputs(config).flatMap(({ kind, resolvedTopic: topic }) => {
        return kind === 'joint_state' ? { topic, maxAge: config.state.maxAge } : [];
      }),
    ];
    const notes = stampNotes(this.#distances, limits, config.sync.maxSkew, byStamps, hasChunks);
    if (this.#untimed > 0) {
      const count = this.#untimed === 1 ? 'a message' : `${this.#untimed} messages`;
      notes.unshift(
        `${count} recorded at time 0 left out, before the first /clock of the recorder; a prompt counts from the start`,
      );
    }
    if (!hasChunks) {
      const received = [...this.#received].map(([topic, count]) => `${count} on ${topic}`).join(', ');
      notes.push(`no chunk was made of the messages that were read: ${received}`);
    }
    return notes;
  }

  #offerFrame(name: string, image: RawImage | CompressedImage, frame: CameraFrame | Refusal): void {
    const { config, listeners } = this.#options;
    const camera = config.cameras.find((one) => one.name === name)!;
    const stamped = stampOnArrival(image, camera, this.#now);
    for (const listener of listeners) listener.image?.(name, stamped, this.#now);
    const offered = frame instanceof Refusal ? frame : stampOnArrival(frame, camera, this.#now);
    this.#pipeline.offerFrame(name, offered, this.#now);
  }

  /** Handles a message of `/clock`, with control ticks as in the node. */
  async #setSimulatedTime(time: bigint): Promise<void> {
    if (this.#timeKnown && time >= this.#now) await this.#deliverDueChunks(time);
    const step = this.#clock.receive(time);
    if (step !== 'older') this.#now = time;
    if (step === 'reset') this.#engine.postpone();
    if (step === 'first') this.#pipeline.activate(time);
    this.#timeKnown = true;
    this.#ticker.advance(time);
  }

  #sink(): PipelineSink {
    const { listeners } = this.#options;
    return {
      chunk: (chunk, timing) => {
        this.#inferenceMs.push(timing.inferenceMs);
        this.#latencyMs.push(timing.latencyMs);
        for (const listener of listeners) listener.chunk?.(chunk, timing, this.#now);
      },
      command: (command) => {
        for (const listener of listeners) listener.command?.(command, this.#now);
      },
      seam: (seam) => {
        for (const listener of listeners) listener.seam?.(seam, this.#now);
      },
      refusal: (refusal) => {
        this.#refusals++;
        for (const listener of listeners) listener.refusal?.(refusal, this.#now);
      },
      fault: (fault) => {
        if (fault.code === 'ENGINE_FAILED' || fault.code === 'DEVICE_LOST') this.#failure ??= fault;
        for (const listener of listeners) listener.fault?.(fault, this.#now);
      },
    };
  }

  #setNow(now: bigint): void {
    this.#now = now;
    if (!this.#options.simulated) this.#setLogTime(now);
  }

  #setLogTime(logTime: bigint): void {
    if (isUntimed({ logTime }, this.#options.bag)) return;
    for (const listener of this.#options.listeners) listener.setLogTime?.(logTime);
  }

  async #drainListeners(): Promise<void> {
    for (const listener of this.#options.listeners) await listener.drain?.();
  }

  #reportProgress(start: bigint, time: bigint, wallMs: number): void {
    const { progress, bag } = this.#options;
    const seconds = toSeconds(time - start);
    progress?.({
      seconds,
      total: bag.endTime === undefined ? undefined : toSeconds(bag.endTime - start),
      rate: (seconds / wallMs) * 1e3,
      chunks: this.#inferenceMs.length,
      refusals: this.#refusals,
    });
  }
}
