import type { Pi05Error, Refusal, RefusalCode, FaultCode } from '../errors.js';
import type { CommandReason } from '../frame/frame.js';
import { percentilesOfSorted } from '../statistics.js';
import type { Delay } from '../schedule/schedule.js';
import type { MotionQuality } from '../schedule/seam.js';
import type { Percentiles } from '../statistics.js';

/** Camera messages while the pipeline was active. */
export interface CameraCounts {
  /** Messages that arrived. */
  offered: number;
  /** Messages that were replaced by a newer one before they were decoded. */
  dropped: number;
  /** Frames that passed every check. */
  accepted: number;
  /** Frames in an observation for which an inference was started. A frame may be used more than once. */
  used: number;
}

export interface PipelineStatistics {
  readonly active: boolean;
  /** By the camera's name. */
  readonly cameras: Readonly<Record<string, Readonly<CameraCounts>>>;
  /** Observations for which an inference was started. */
  readonly observations: number;
  /** Accepted chunks. */
  readonly chunks: number;
  /** Chunks that were dropped because of a reset, a stop or the timeout. */
  readonly outdated: number;
  readonly commands: Readonly<Record<CommandReason, number>>;
  readonly refusals: Readonly<Partial<Record<RefusalCode, number>>>;
  readonly faults: Readonly<Partial<Record<FaultCode, number>>>;
  readonly lastRefusal: Refusal | undefined;
  readonly lastFault: Pi05Error<FaultCode> | undefined;
  /** Time that the engine took. These and the other percentiles are those of the most recent 4096 samples. */
  readonly inferenceMs: Percentiles;
  /** From an observation's stamp to the acceptance of its chunk. */
  readonly latencyMs: Percentiles;
  readonly delay: Delay;
  readonly motion: MotionQuality;
  /** Control ticks, also those without a command. A tick that is later than a period replaces those it missed. */
  readonly ticks: number;
  readonly tickLatenessMs: Percentiles;
  /** Of the same ticks; undefined before the first. */
  readonly maxTickLatenessMs: number | undefined;
}

const WINDOW = 4096;

/** The most recent samples of one quantity. They are sorted on insertion, so that reading percentiles is cheap. */
export class RecentSamples {
  /** Ring buffer in the order of arrival. */
  readonly #recent = new Float64Array(WINDOW);
  #next = 0;
  /** The same samples in ascending order. */
  readonly #sorted = new Float64Array(WINDOW);
  #count = 0;

  add(value: number): void {
    const sorted = this.#sorted;
    if (this.#count === WINDOW) {
      const oldestRank = this.#rank(this.#recent[this.#next]!);
      sorted.copyWithin(oldestRank, oldestRank + 1, this.#count--);
    }
    const rank = this.#rank(value);
    sorted.copyWithin(rank + 1, rank, this.#count++);
    sorted[rank] = value;
    this.#recent[this.#next] = value;
    this.#next = (this.#next + 1) % WINDOW;
  }

  get percentiles(): Percentiles {
    return percentilesOfSorted(this.#sorted.subarray(0, this.#count));
  }

  get max(): number | undefined {
    return this.#count === 0 ? undefined : this.#sorted[this.#count - 1];
  }

  /** Number of samples that are smaller. */
  #rank(value: number): number {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Counters of the pipeline, in bounded memory. */
export class Counters {
  readonly #cameras: ReadonlyMap<string, CameraCounts>;
  observations = 0;
  chunks = 0;
  outdated = 0;
  ticks = 0;
  readonly commands: Record<CommandReason, number> = { step: 0, hold: 0, stop: 0 };
  readonly inferenceMs = new RecentSamples();
  readonly latencyMs = new RecentSamples();
  readonly tickLatenessMs = new RecentSamples();
  readonly #refusals: Partial<Record<RefusalCode, number>> = {};
  readonly #faults: Partial<Record<FaultCode, number>> = {};
  #lastRefusal: Refusal | undefined;
  #lastFault: Pi05Error<FaultCode> | undefined;

  /** @param cameras their names. */
  constructor(cameras: readonly string[]) {
    this.#cameras = new Map(cameras.map((name) => [name, { offered: 0, dropped: 0, accepted: 0, used: 0 }]));
  }

  countFrame(camera: string, event: keyof CameraCounts): void {
    const counts = this.#cameras.get(camera);
    if (counts !== undefined) counts[event]++;
  }

  countRefusal(refusal: Refusal): void {
    this.#refusals[refusal.code] = (this.#refusals[refusal.code] ?? 0) + 1;
    this.#lastRefusal = refusal;
  }

  countFault(fault: Pi05Error<FaultCode>): void {
    this.#faults[fault.code] = (this.#faults[fault.code] ?? 0) + 1;
    this.#lastFault = fault;
  }

  snapshot(active: boolean, delay: Delay, motion: MotionQuality): PipelineStatistics {
    return {
      active,
      cameras: Object.fromEntries([...this.#cameras].map(([name, counts]) => [name, { ...counts }])),
      observations: this.observations,
      chunks: this.chunks,
      outdated: this.outdated,
      commands: { ...this.commands },
      refusals: { ...this.#refusals },
      faults: { ...this.#faults },
      lastRefusal: this.#lastRefusal,
      lastFault: this.#lastFault,
      inferenceMs: this.inferenceMs.percentiles,
      latencyMs: this.latencyMs.percentiles,
      delay,
      motion,
      ticks: this.ticks,
      tickLatenessMs: this.tickLatenessMs.percentiles,
      maxTickLatenessMs: this.tickLatenessMs.max,
    };
  }
}
