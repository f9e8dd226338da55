import { percentile } from '../statistics.js';

/** Number of recent inferences that count. */
const WINDOW = 64;

/** Estimates the time from an observation to its chunk as the p95 of recent inferences. The first, cold one does not count. */
export class LatencyEstimate {
  readonly #window: bigint[] = [];
  #cold = true;

  /** Forgets the recent inferences. The next one is not cold. */
  forget(): void {
    this.#window.length = 0;
  }

  /** @param latency ns. */
  add(latency: bigint): void {
    if (this.#cold) {
      this.#cold = false;
      return;
    }
    this.#window.push(latency);
    if (this.#window.length > WINDOW) this.#window.shift();
  }

  /** Nearest-rank p95, ns; 0 before the second inference. */
  get p95(): bigint {
    const sorted = this.#window.toSorted((a, b) => Number(a - b));
    return percentile(sorted, 0.95) ?? 0n;
  }
}
