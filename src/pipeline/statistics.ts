import type { Pi05Error, Refusal, RefusalCode, RunCode } from '../errors.js';
import type { CommandReason } from '../frame/frame.js';
import { type Percentiles, percentilesOfSorted } from '../statistics.js';

export interface PipelineStatistics {
  readonly active: boolean;
  /** Observations built and given to the policy. */
  readonly observations: number;
  /** Chunks accepted, and chunks that came too late for a reset, a stop or the time-out. */
  readonly chunks: number;
  readonly outdated: number;
  readonly commands: Readonly<Record<CommandReason, number>>;
  readonly refusals: Readonly<Partial<Record<RefusalCode, number>>>;
  readonly faults: Readonly<Partial<Record<RunCode, number>>>;
  readonly lastRefusal: Refusal | undefined;
  readonly lastFault: Pi05Error<RunCode> | undefined;
  /** Native time of an inference, ms; like the other times of the most recent 4096. */
  readonly inferenceMs: Percentiles;
  /** From an observation's stamp to its accepted chunk. */
  readonly latencyMs: Percentiles;
  readonly tickLatenessMs: Percentiles;
}

const SAMPLES = 4096;

/** The last samples of one quantity, put in order as they come, so that a look at the percentiles costs nothing. */
export class Samples {
  /** In the order of arrival, a ring. */
  readonly #recent = new Float64Array(SAMPLES);
  #next = 0;
  /** The same in the order of their values. */
  readonly #sorted = new Float64Array(SAMPLES);
  #count = 0;

  add(value: number): void {
    const sorted = this.#sorted;
    if (this.#count === SAMPLES) {
      const oldest = this.#place(this.#recent[this.#next]!);
      sorted.copyWithin(oldest, oldest + 1, this.#count--);
    }
    const place = this.#place(value);
    sorted.copyWithin(place + 1, place, this.#count++);
    sorted[place] = value;
    this.#recent[this.#next] = value;
    this.#next = (this.#next + 1) % SAMPLES;
  }

  get percentiles(): Percentiles {
    return percentilesOfSorted(this.#sorted.subarray(0, this.#count));
  }

  /** How many of the samples are smaller. */
  #place(value: number): number {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Counts what the pipeline does, in bounded memory. */
export class Counters {
  observations = 0;
  chunks = 0;
  outdated = 0;
  readonly commands: Record<CommandReason, number> = { step: 0, hold: 0, stop: 0 };
  readonly inferenceMs = new Samples();
  readonly latencyMs = new Samples();
  readonly tickLatenessMs = new Samples();
  readonly #refusals: Partial<Record<RefusalCode, number>> = {};
  readonly #faults: Partial<Record<RunCode, number>> = {};
  #lastRefusal: Refusal | undefined;
  #lastFault: Pi05Error<RunCode> | undefined;

  refused(refusal: Refusal): void {
    this.#refusals[refusal.code] = (this.#refusals[refusal.code] ?? 0) + 1;
    this.#lastRefusal = refusal;
  }

  failed(fault: Pi05Error<RunCode>): void {
    this.#faults[fault.code] = (this.#faults[fault.code] ?? 0) + 1;
    this.#lastFault = fault;
  }

  snapshot(active: boolean): PipelineStatistics {
    return {
      active,
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
      tickLatenessMs: this.tickLatenessMs.percentiles,
    };
  }
}
