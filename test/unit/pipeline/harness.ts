import { afterEach, beforeEach, expect } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { decodeRawFrame } from '../../../src/decode/image.js';
import type { Engine, InferRequest, InferResult, ModelInfo } from '../../../src/engine/engine.js';
import { withFingerprintSync } from '../../../src/engine/fingerprint.js';
import type { Pi05Error, Refusal, FaultCode } from '../../../src/errors.js';
import type { ActionChunk, Command, Observation, RawImage } from '../../../src/frame/frame.js';
import { Pipeline } from '../../../src/pipeline/pipeline.js';
import type { ChunkTiming, PipelineSink, PolicyLike } from '../../../src/pipeline/interfaces.js';
import type { ToolGuard } from '../../../src/schedule/tool-guard.js';
import { image, joints, MS, robot, T0 } from './robot.js';

export const TICK = 100n * MS;
/** Steps in a chunk. */
export const ROWS = 6;

interface Settle {
  readonly resolve: (result: InferResult) => void;
  readonly reject: (error: Error) => void;
}

/** An engine whose results are given by the test. */
class ManualEngine implements Engine {
  readonly info = { imageSize: 8, rtcTrainedMaxDelay: 2 } as ModelInfo;
  readonly requests: InferRequest[] = [];
  /** Every action is NaN. */
  broken = false;
  #settle: Settle | undefined;

  infer(request: InferRequest): Promise<InferResult> {
    if (this.#settle) throw new Error('two inferences at once');
    this.requests.push(request);
    return new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  get busy(): boolean {
    return this.#settle !== undefined;
  }

  /** Completes the inference: each action is `value` plus the number of its step. */
  async answer(value: number): Promise<void> {
    const settle = this.#takeSettle();
    settle.resolve({
      actions: Float32Array.from({ length: ROWS }, (_, i) => (this.broken ? NaN : value + i)),
      milliseconds: 12,
      trace: new Map(),
    });
    await flushPromises();
  }

  async fail(error: string | Error): Promise<void> {
    this.#takeSettle().reject(typeof error === 'string' ? new Error(error) : error);
    await flushPromises();
  }

  async close(): Promise<void> {}

  #takeSettle(): Settle {
    const settle = this.#settle;
    if (!settle) throw new Error('no inference in flight');
    this.#settle = undefined;
    return settle;
  }
}

/** Runs all pending microtasks. */
export function flushPromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when `condition` is true, for which other threads may have to work; rejects after 4 s. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 4000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition was never true');
    await flushPromises();
  }
}

/** One action dimension for both joints. */
export class PlainPolicy implements PolicyLike {
  refuse: Refusal | undefined;
  prepared = 0;
  prepare({ views }: Observation): Pick<InferRequest, 'images' | 'tokens' | 'noise'> {
    this.prepared++;
    if (this.refuse) throw this.refuse;
    return { images: views.map(({ frame }) => frame), tokens: Int32Array.of(2), noise: new Float32Array(1) };
  }
  /** The first joint of the chunk's rows. */
  previousActions({ values }: ActionChunk, firstRow: number): Float32Array {
    return Float32Array.from(values.filter((_, i) => i % 2 === 0)).slice(firstRow);
  }
  finish(actions: Float32Array, { stamp }: Observation): ActionChunk {
    const values = Float64Array.from({ length: ROWS * 2 }, (_, i) => actions[Math.floor(i / 2)]!);
    return { stamp, joints: ['a', 'b'], rows: ROWS, values, period: 0.1 };
  }
}

/** Makes a test fail that leaves a rejected promise unhandled. Call it once per file. */
export function watchRejections(): void {
  const unhandled: unknown[] = [];
  const record = (error: unknown): void => void unhandled.push(error);
  beforeEach(() => void process.on('unhandledRejection', record));
  afterEach(async () => {
    await flushPromises();
    process.off('unhandledRejection', record);
    expect(unhandled.splice(0)).toEqual([]);
  });
}

/** An active pipeline and its results in order. */
export class Harness {
  readonly engine = new ManualEngine();
  readonly policy = new PlainPolicy();
  readonly log: string[] = [];
  readonly chunks: (ActionChunk & ChunkTiming)[] = [];
  readonly commands: Command[] = [];
  readonly refusals: Refusal[] = [];
  readonly faults: Pi05Error<FaultCode>[] = [];
  readonly sink: PipelineSink;
  readonly pipeline: Pipeline;
  readonly #config: PolicyConfig;

  constructor(config: PolicyConfig = robot(), clock?: () => bigint, tool?: ToolGuard) {
    this.#config = config;
    this.sink = {
      chunk: (chunk: ActionChunk, timing: ChunkTiming) => {
        this.chunks.push({ ...chunk, ...timing });
        this.log.push('chunk');
      },
      command: (command: Command) => {
        this.commands.push(command);
        this.log.push(`${command.reason} ${command.values[0]}`);
      },
      refusal: (refusal: Refusal) => {
        this.refusals.push(refusal);
        this.log.push(refusal.code);
      },
      fault: (fault: Pi05Error<FaultCode>) => {
        this.faults.push(fault);
        this.log.push(fault.code);
      },
    };
    this.pipeline = new Pipeline(config, this.policy, this.engine, this.sink, clock, tool);
    this.pipeline.activate(T0);
  }

  offerImage(camera: string, image: RawImage, now: bigint): void {
    const topic = this.#config.cameras.find(({ name }) => name === camera)?.topic ?? '';
    const decoded = decodeRawFrame(image, topic, this.pipeline.imageLimits);
    this.pipeline.offerFrame(camera, withFingerprintSync(decoded), now);
  }

  /** One message of each stream. */
  offer(stamp: bigint, now = stamp): void {
    this.offerImage('exterior', image(stamp, 1), now);
    this.offerImage('wrist', image(stamp, 2), now);
    this.pipeline.offerJoints(joints(stamp), now);
  }

  /** The log since the last call: chunks, commands with their first value, codes. */
  takeLog(): string[] {
    return this.log.splice(0);
  }

  tick(now: bigint, lateness = 0n): string[] {
    this.pipeline.tick(now, lateness);
    return this.takeLog();
  }
}
