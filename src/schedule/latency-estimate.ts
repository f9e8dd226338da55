import { percentile } from '../statistics.js';

/** Number of recent inferences that count. */
const WINDOW = 64;

/** Estimates the time from an observation to its chunk as the p95 of recent inferences. The first, cold one does not count. */
export class LatencyEstimate {
  readonly #window: bigint[] = [];
  #cold = true;
  /** Of the first inference. */
  #first = 0n;
  #p95 = 0n;

  /** Forgets all inferences, so that what follows does not depend on what was executed before. */
  forget(): void {
    this.#window.length = 0;
    this.#cold = true;
    this.#first = 0n;
    this.#p95 = 0n;
  }

  /** @param latency ns. */
  add(latency: bigint): void {
    if (this.#cold) {
      this.#cold = false;
      this.#first = latency;
      return;
    }
    this.#window.push(latency);
    if (this.#window.length > WINDOW) this.#window.shift();
    const sorted = this.#window.toSorted((a, b) => (a < b ? -1 : Number(a > b)));
    this.#p95 = percentile(sorted, 0.95) ?? 0n;
  }

  /** Nearest-rank p95, ns; 0 before the second inference. */
  get p95(): bigint {
    return this.#p95;
  }

  /** What the next inference is expected to take, ns: the p95, or the time of the first where there is no other. */
  get expected(): bigint {
    return this.#p95 > 0n ? this.#p95 : this.#first;
  }
}
