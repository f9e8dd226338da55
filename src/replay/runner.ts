import type { PolicyConfig } from '../config/config.js';
import type { Engine } from '../engine/engine.js';
import { Pi05Error, type RunCode } from '../errors.js';
import { Pipeline, type PolicyLike } from '../pipeline/pipeline.js';
import type { PipelineStatistics } from '../pipeline/statistics.js';
import { SimulatedTicker } from '../pipeline/ticker.js';
import { type Percentiles, percentiles } from '../statistics.js';
import { SECOND, tickPeriod, toSeconds } from '../time.js';
import type { Bag, BagMessage } from './bag/bag.js';
import { BagTimeEngine } from './engine.js';
import { type ReplayEvent, replayEvents } from './events.js';
import type { ReplayInput } from './inputs.js';
import type { ReplayListener } from './listener.js';
import { PixelBuffers } from './pixels.js';

export interface ReplayOptions {
  readonly bag: Bag;
  /** What is read of it, from `replayInputs`. */
  readonly inputs: ReadonlyMap<string, ReplayInput>;
  /** With resolved topics. */
  readonly config: PolicyConfig;
  /** Time is what `/clock` says in the bag; else when messages were recorded. */
  readonly simulated: boolean;
  readonly policy: PolicyLike;
  readonly engine: Engine;
  /** Bag time that an inference takes, ns. */
  readonly latency: bigint;
  readonly listeners: readonly ReplayListener[];
  /** Called about ten times a second. */
  readonly progress?: (progress: ReplayProgress) => void;
}

export interface ReplayProgress {
  /** Bag time replayed so far, s. */
  readonly seconds: number;
  /** Of the whole bag; undefined where it has no index. */
  readonly total: number | undefined;
  /** Bag time over real time, so far. */
  readonly rate: number;
  readonly chunks: number;
  readonly refusals: number;
}

export interface ReplayOutcome {
  readonly statistics: PipelineStatistics;
  /** Of all chunks, ms. */
  readonly inferenceMs: Percentiles;
  /** From an observation's stamp to its chunk, ms of bag time. */
  readonly latencyMs: Percentiles;
  /** Bag time replayed, s. */
  readonly seconds: number;
  /** Real time it took, and the part of it that was spent waiting for the engine, s. */
  readonly wallSeconds: number;
  readonly engineSeconds: number;
  /** Why the bag could not be read to its end, one sentence. */
  readonly damage: string | undefined;
  /** A failed engine, which ended the replay. */
  readonly failure: Pi05Error<RunCode> | undefined;
}

/** A recorder that was silent for longer was paused: no ticks in between, ns. */
const PAUSE = 60n * SECOND;
const PROGRESS_MS = 100;

/** Replays a bag. The same bag and parameters give the same results, however fast the machine is. */
export async function replay(options: ReplayOptions): Promise<ReplayOutcome> {
  return await new Replay(options).run();
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #engine: BagTimeEngine;
  readonly #pipeline: Pipeline;
  readonly #ticker: SimulatedTicker;
  readonly #period: bigint;
  readonly #pixels = new PixelBuffers((data) => this.#pipeline.holds(data) || this.#engine.holds(data));
  readonly #inferenceMs: number[] = [];
  readonly #latencyMs: number[] = [];
  /** Bag time, ns. */
  #now = 0n;
  /** Whether there is a time yet: simulated time begins with the first message of `/clock`. */
  #known = false;
  /** The next control tick by the time of recording. */
  #due = 0n;
  #refusals = 0;
  #damage: string | undefined;
  #failure: Pi05Error<RunCode> | undefined;

  constructor(options: ReplayOptions) {
    this.#options = options;
    const { config, policy, engine, latency } = options;
    this.#period = tickPeriod(config.controlRate);
    this.#engine = new BagTimeEngine(engine, latency, () => this.#now);
    this.#pipeline = new Pipeline(config, policy, this.#engine, this.#sink(), () => this.#now);
    this.#ticker = new SimulatedTicker(config.schedule.lockstep ? 0n : this.#period, (now, lateness) =>
      this.#pipeline.tick(now, lateness),
    );
    this.#ticker.start();
  }

  async run(): Promise<ReplayOutcome> {
    const { bag, inputs, config, simulated } = this.#options;
    const started = performance.now();
    const messages = this.#readable(bag.messages(new Set(inputs.keys())));
    let first: bigint | undefined;
    let last = 0n;
    let shown = started;
    for await (const event of replayEvents(messages, inputs, config, this.#pixels)) {
      first ??= event.logTime;
      last = event.logTime;
      if (simulated) this.#at(last);
      else await this.#reach(last);
      await this.#take(event);
      if (event.kind === 'image') this.#pixels.offered(event.image.data);
      await this.#settle();
      if (this.#failure !== undefined) break;
      const now = performance.now();
      if (now - shown < PROGRESS_MS) continue;
      shown = now;
      this.#show(bag.startTime ?? first, last, now - started);
    }
    // What was recorded at the very end is before a tick at the end.
    if (!simulated && this.#known && this.#failure === undefined) await this.#reach(last + 1n);
    await this.#drain();
    const now = performance.now();
    if (first !== undefined) this.#show(bag.startTime ?? first, last, now - started);
    return {
      statistics: this.#pipeline.statistics,
      inferenceMs: percentiles(this.#inferenceMs),
      latencyMs: percentiles(this.#latencyMs),
      seconds: toSeconds(last - (first ?? last)),
      wallSeconds: (now - started) / 1e3,
      engineSeconds: this.#engine.waited / 1e3,
      damage: bag.damage ?? this.#damage,
      failure: this.#failure,
    };
  }

  /** The messages before the place where the bag is damaged. */
  async *#readable(messages: AsyncIterable<BagMessage>): AsyncGenerator<BagMessage, void, void> {
    try {
      for await (const message of messages) yield message;
    } catch (error) {
      if (!(error instanceof Pi05Error) || error.code !== 'BAG_DATA') throw error;
      this.#damage = error.message;
    }
  }

  /** By the time of recording: everything that happens before `time`; a message comes before a tick of the same time. */
  async #reach(time: bigint): Promise<void> {
    if (!this.#known) {
      this.#known = true;
      this.#set(time);
      this.#due = time + this.#period;
      this.#pipeline.activate(time);
    }
    if (time - this.#due > PAUSE) this.#due = time;
    while (this.#due < time) {
      await this.#arrive(this.#due);
      this.#set(this.#due);
      this.#due += this.#period;
      this.#pipeline.tick(this.#now, 0n);
      await this.#settle();
      if (this.#failure !== undefined) return;
    }
    await this.#arrive(time);
    this.#set(time);
  }

  /** Chunks that are due at `time` or before it. */
  async #arrive(time: bigint): Promise<void> {
    for (let due = this.#engine.due; due !== undefined && due <= time; due = this.#engine.due) {
      if (due > this.#now) this.#set(due);
      await this.#engine.deliver();
      await this.#drain();
    }
  }

  /** Whatever the last event caused and is due at once. */
  async #settle(): Promise<void> {
    await this.#arrive(this.#now);
    await this.#drain();
  }

  async #take(event: ReplayEvent): Promise<void> {
    const { listeners } = this.#options;
    const pipeline = this.#pipeline;
    const now = this.#now;
    switch (event.kind) {
      case 'clock':
        return await this.#setTime(event.time);
      case 'prompt':
        return pipeline.setPrompt(event.text, now);
    }
    // Without a time there is no age: the node is not active then either.
    if (!this.#known) return;
    switch (event.kind) {
      case 'image':
        for (const listener of listeners) listener.image?.(event.camera, event.image, now);
        return pipeline.offerImage(event.camera, event.image, now);
      case 'compressed_image':
        for (const listener of listeners) listener.image?.(event.camera, event.image, now);
        pipeline.offerCompressed(event.camera, event.image, now, event.decoded);
        return await pipeline.decoded();
      case 'joint_state':
        for (const listener of listeners) listener.joints?.(event.reading, now);
        return pipeline.offerJoints(event.reading, now);
      case 'action':
        for (const listener of listeners) listener.action?.({ ...event.action, time: now }, now);
        return;
      case 'refused':
        return pipeline.refuse(event.refusal, now);
    }
  }

  /** A message of `/clock`; ticks come as in the node. */
  async #setTime(time: bigint): Promise<void> {
    const back = this.#known && time < this.#now;
    if (this.#known && !back) await this.#arrive(time);
    this.#now = time;
    if (back) this.#engine.postpone();
    if (!this.#known) this.#pipeline.activate(time);
    this.#known = true;
    this.#ticker.advance(time);
  }

  #sink(): ConstructorParameters<typeof Pipeline>[3] {
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

  #set(now: bigint): void {
    this.#now = now;
    if (!this.#options.simulated) this.#at(now);
  }

  #at(logTime: bigint): void {
    for (const listener of this.#options.listeners) listener.at?.(logTime);
  }

  async #drain(): Promise<void> {
    for (const listener of this.#options.listeners) await listener.drain?.();
  }

  #show(start: bigint, time: bigint, wallMs: number): void {
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
