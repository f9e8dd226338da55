import { SECOND } from './time.js';

/** Reports of one key are this far apart, ns. */
const INTERVAL = SECOND;

/**
 * Limits repeated reports, key by key: the first is let through, then at most one per second until the key is cleared.
 * If the clock goes back, the next report is due at once.
 */
export class ReportThrottle {
  readonly #reports = new Map<
    string,
    { readonly time: bigint; readonly suppressedBefore: number; suppressed: number }
  >();

  /** Whether a report of `key` is due at `now`, ns; if so, it counts as reported. */
  shouldReport(key: string, now: bigint): boolean {
    const last = this.#reports.get(key);
    if (last !== undefined && now >= last.time && now < last.time + INTERVAL) {
      last.suppressed++;
      return false;
    }
    this.#reports.set(key, { time: now, suppressedBefore: last?.suppressed ?? 0, suppressed: 0 });
    return true;
  }

  /** How many reports of `key` were suppressed between its last report and the one before. */
  suppressedBefore(key: string): number {
    return this.#reports.get(key)?.suppressedBefore ?? 0;
  }

  /** The next report of `key` is due at once. */
  clear(key: string): void {
    this.#reports.delete(key);
  }

  clearAll(): void {
    this.#reports.clear();
  }
}
