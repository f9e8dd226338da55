/** Percentiles by the nearest-rank method: the smallest sample such that at least the given share of all samples is not larger. */

/** Undefined where there is no sample. */
export interface Percentiles {
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
}

/**
 * @param sorted samples in ascending order.
 * @param share 0…1; 0 gives the smallest sample, 1 the largest.
 * @returns undefined where there is no sample.
 */
export function percentile<T>(
  sorted: { readonly length: number; readonly [index: number]: T },
  share: number,
): T | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

/** @param sorted samples in ascending order. */
export function percentilesOfSorted(sorted: ArrayLike<number>): Percentiles {
  return { p50: percentile(sorted, 0.5), p95: percentile(sorted, 0.95), p99: percentile(sorted, 0.99) };
}

/** @param samples in any order. */
export function percentiles(samples: readonly number[]): Percentiles {
  return percentilesOfSorted(samples.toSorted((a, b) => a - b));
}
