import { percentile } from '../statistics.js';

const WINDOW = 64;

/** How long an observation takes to become a chunk: the p95 of the last inferences, without the first, cold one. */
export class LatencyEstimate {
  readonly #window: bigint[] = [];
  #cold = true;

  add(latency: bigint): void {
    if (this.#cold) {
      this.#cold = false;
      return;
    }
    this.#window.push(latency);
    if (this.#window.length > WINDOW) this.#window.shift();
  }

  /** Nearest-rank p95, ns; 0 before the first warm inference. */
  get p95(): bigint {
    const sorted = this.#window.toSorted((a, b) => Number(a - b));
    return percentile(sorted, 0.95) ?? 0n;
  }
}
