/** Calls at control rate; `now` is ROS time, `lateness` how long after its due time the call comes; both ns. */
export type OnTick = (now: bigint, lateness: bigint) => void;

/** Control ticks from activation to deactivation. */
export interface Ticker {
  start(): void;
  stop(): void;
}

/**
 * Ticks on simulated time: whenever `/clock` reaches the next due time, counted from the first time seen after the
 * start. A clock that goes back starts anew.
 */
export class SimulatedTicker implements Ticker {
  #running = false;
  #due: bigint | undefined;
  #last: bigint | undefined;

  constructor(
    /** ns; 0 = a tick for every new time, as lock-step wants it. */
    private readonly period: bigint,
    private readonly onTick: OnTick,
  ) {}

  start(): void {
    this.#running = true;
    this.#due = undefined;
    this.#last = undefined;
  }

  stop(): void {
    this.#running = false;
  }

  /** Takes a time from `/clock`, ns. */
  advance(now: bigint): void {
    if (!this.#running) return;
    const last = this.#last;
    this.#last = now;
    if (now === last) return;
    if (this.#due === undefined || (last !== undefined && now < last)) this.#due = now;
    // Publishers round their stamps: a thousandth of a period early is on time.
    if (now + this.period / 1000n < this.#due) return;
    const lateness = now > this.#due ? now - this.#due : 0n;
    const missed = this.period > 0n ? lateness / this.period : 0n;
    this.#due = this.period > 0n ? this.#due + (missed + 1n) * this.period : now;
    this.onTick(now, this.period > 0n ? lateness : 0n);
  }
}
