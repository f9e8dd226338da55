import { afterEach, beforeEach, expect } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import type { Engine, InferRequest, InferResult, ModelInfo } from '../../../src/engine/engine.js';
import type { Pi05Error, Refusal, RunCode } from '../../../src/errors.js';
import type { ActionChunk, Command, Observation } from '../../../src/frame/frame.js';
import { Pipeline } from '../../../src/pipeline/pipeline.js';
import type { ChunkTiming, PipelineSink, PolicyLike } from '../../../src/pipeline/pipeline.js';
import { image, joints, MS, robot, T0 } from './robot.js';

export const TICK = 100n * MS;
/** Steps in a chunk. */
export const ROWS = 6;

interface Settle {
  readonly resolve: (result: InferResult) => void;
  readonly reject: (error: Error) => void;
}

/** An engine whose answers come when the test says so. */
class HandEngine implements Engine {
  readonly info = {} as ModelInfo;
  readonly requests: InferRequest[] = [];
  /** Every answer is NaN. */
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

  /** Every action is `value`, plus the step's number. */
  async answer(value: number): Promise<void> {
    const settle = this.#take();
    settle.resolve({
      actions: Float32Array.from({ length: ROWS }, (_, i) => (this.broken ? NaN : value + i)),
      milliseconds: 12,
      trace: new Map(),
    });
    await turns();
  }

  async fail(error: string | Error): Promise<void> {
    this.#take().reject(typeof error === 'string' ? new Error(error) : error);
    await turns();
  }

  async close(): Promise<void> {}

  #take(): Settle {
    const settle = this.#settle;
    if (!settle) throw new Error('no inference in flight');
    this.#settle = undefined;
    return settle;
  }
}

/** Lets every promise that can go on go on. */
export function turns(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One action dimension for both joints; the observation's stamp goes along as noise. */
export class PlainPolicy implements PolicyLike {
  refuse: Refusal | undefined;
  prepared = 0;
  prepare({ views }: Observation): Pick<InferRequest, 'images' | 'tokens' | 'noise'> {
    this.prepared++;
    if (this.refuse) throw this.refuse;
    return { images: views.map(({ frame }) => frame), tokens: Int32Array.of(2), noise: new Float32Array(1) };
  }
  finish(actions: Float32Array, { stamp }: Observation): ActionChunk {
    const values = Float64Array.from({ length: ROWS * 2 }, (_, i) => actions[Math.floor(i / 2)]!);
    return { stamp, joints: ['a', 'b'], rows: ROWS, values, period: 0.1 };
  }
}

/** Makes every test of a file fail that leaves a rejected promise unhandled. */
export function watchRejections(): void {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  beforeEach(() => void process.on('unhandledRejection', note));
  afterEach(async () => {
    await turns();
    process.off('unhandledRejection', note);
    expect(unhandled.splice(0)).toEqual([]);
  });
}

/** A pipeline at work and everything that came out of it, in order. */
export class Bench {
  readonly engine = new HandEngine();
  readonly policy = new PlainPolicy();
  readonly log: string[] = [];
  readonly chunks: (ActionChunk & ChunkTiming)[] = [];
  readonly commands: Command[] = [];
  readonly refusals: Refusal[] = [];
  readonly faults: Pi05Error<RunCode>[] = [];
  readonly sink: PipelineSink;
  readonly pipeline: Pipeline;

  constructor(config: PolicyConfig = robot(), clock?: () => bigint) {
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
      fault: (fault: Pi05Error<RunCode>) => {
        this.faults.push(fault);
        this.log.push(fault.code);
      },
    };
    this.pipeline = new Pipeline(config, this.policy, this.engine, this.sink, clock);
    this.pipeline.activate(T0);
  }

  offer(stamp: bigint, now = stamp): void {
    this.pipeline.offerImage('exterior', image(stamp, 1), now);
    this.pipeline.offerImage('wrist', image(stamp, 2), now);
    this.pipeline.offerJoints(joints(stamp), now);
  }

  /** What was said since the last call. */
  said(): string[] {
    return this.log.splice(0);
  }

  tick(now: bigint, lateness = 0n): string[] {
    this.pipeline.tick(now, lateness);
    return this.said();
  }
}
