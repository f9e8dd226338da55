import type { PolicyConfig } from '../config/config.js';
import { type FaultCode, Pi05Error } from '../errors.js';
import { formatSeconds, tickPeriod } from '../time.js';

/** The guard accepts so many commands at once in addition to that of a tick. */
const MAX_SKIPPED_TICKS = 3n;

/** The time between control ticks: a gap that is too long, and ticks that were due and did not come. */
export class TickGap {
  readonly #period: bigint;
  readonly #maxGap: bigint;
  /** Undefined before the first tick, ns. */
  #last: bigint | undefined;
  /** When the last tick was due, ns. */
  #lastDue = 0n;

  constructor({ controlRate, safety }: PolicyConfig) {
    this.#period = tickPeriod(controlRate);
    this.#maxGap = safety.maxTickGap;
  }

  reset(): void {
    this.#last = undefined;
  }

  /** When the next tick is expected, ns; undefined before the first one. */
  get next(): bigint | undefined {
    return this.#last === undefined ? undefined : this.#last + this.#period;
  }

  /**
   * A tick at `now`, ns. @param lateness ns after it was due. @param catchUp whether the commands of skipped ticks are sent too.
   * @returns TICK_GAP where the one before was too long ago.
   */
  tick(now: bigint, lateness: bigint, catchUp: boolean): Pi05Error<FaultCode> | undefined {
    const sinceLast = this.#last === undefined ? 0n : now - this.#last;
    this.#last = now;
    // A tick that is late by more than a period comes instead of those that were due meanwhile.
    this.#lastDue = now - (lateness % this.#period);
    const gap = sinceLast > lateness ? sinceLast : lateness;
    const allowed = this.#allowed(catchUp);
    if (gap <= allowed) return undefined;
    const sentence = `Expected control ticks at most ${formatSeconds(allowed)} s apart, received one after ${formatSeconds(gap)} s; stopped`;
    return new Pi05Error('TICK_GAP', sentence, 'tick');
  }

  /** When the ticks before `now`, ns, were due that did not come, oldest first, ns; none where the gap is too long. */
  skipped(now: bigint): bigint[] {
    if (this.#last === undefined || now - this.#last > this.#allowed(true)) return [];
    const skipped: bigint[] = [];
    // The newest tick that is due is not skipped: it comes now, or is about to. Times are rounded.
    const newest = now + this.#period / 100n - this.#period;
    for (let due = this.#lastDue + this.#period; due <= newest; due += this.#period) skipped.push(due);
    return skipped;
  }

  #allowed(catchUp: boolean): bigint {
    const gap = (MAX_SKIPPED_TICKS + 1n) * this.#period;
    return catchUp && gap < this.#maxGap ? gap : this.#maxGap;
  }
}
