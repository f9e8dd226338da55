import { percentile } from '../statistics.js';
import type { Histogram } from './data.js';
import { formatNumber } from './format.js';

const BINS = 40;

/**
 * A histogram of durations with marks for p50, p95 and p99. Values far beyond p99 are counted in the last bin, so that
 * they do not squeeze the others into the first one.
 * @param sorted ms, in ascending order. @returns undefined where there are none.
 */
export function histogram(sorted: readonly number[]): Histogram | undefined {
  const [low, high] = [sorted[0], sorted.at(-1)];
  if (low === undefined || high === undefined) return undefined;
  const p99 = percentile(sorted, 0.99)!;
  const overflow = high - low > 2 * (p99 - low) && p99 > low;
  const from = low === high ? low - 0.5 : low;
  const to = low === high ? high + 0.5 : overflow ? low + 1.25 * (p99 - low) : high;
  const counts = new Array<number>(BINS).fill(0);
  for (const value of sorted) counts[Math.min(BINS - 1, Math.floor(((value - from) / (to - from)) * BINS))]!++;
  const marks = [0.5, 0.95, 0.99].map((share) => {
    const value = percentile(sorted, share)!;
    return { value, label: `p${share * 100} ${formatNumber(value)} ms` };
  });
  return { from, to, counts, overflow, marks };
}
