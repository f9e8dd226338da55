import type { PolicyConfig } from '../config/config.js';

/** An accepted chunk is at most as old as its oldest input may be plus the engine's time-out, ns. */
export function maxChunkAge({ cameras, state, schedule }: PolicyConfig): bigint {
  const ages = [state.maxAge, ...cameras.map(({ maxAge }) => maxAge)];
  return ages.reduce((a, b) => (a > b ? a : b)) + schedule.engineTimeout;
}

/** A joint's values of the last `memory` ns and the one before them. Each value holds until the next (zero-order hold). */
export class ValueHistory {
  readonly #entries: { readonly time: bigint; readonly value: number }[] = [];

  constructor(private readonly memory: bigint) {}

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  add(time: bigint, value: number): void {
    // A jump back in time, such as a reset of the simulation, clears the history.
    if (time < (this.#entries.at(-1)?.time ?? time)) this.#entries.length = 0;
    this.#entries.push({ time, value });
    const needed = time - this.memory;
    const keep = this.#entries.findIndex((_, index) => (this.#entries[index + 1]?.time ?? time) > needed);
    this.#entries.splice(0, Math.max(0, keep));
  }

  /** The value at `time` (zero-order hold), or the next one where that is nearer and at most `tolerance` ns later. */
  valueAt(time: bigint, tolerance: bigint): number | undefined {
    const next = this.#entries.findLastIndex((entry) => entry.time <= time) + 1;
    const [before, after] = [this.#entries[next - 1], this.#entries[next]];
    if (after === undefined || after.time - time > tolerance) return before?.value;
    return before === undefined || after.time - time < time - before.time ? after.value : before.value;
  }
}
