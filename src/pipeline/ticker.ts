import { CLOCK_JUMP } from '../time.js';

/** Called at control rate. @param now ROS time, ns. @param lateness time since the tick was due, ns. */
export type OnTick = (now: bigint, lateness: bigint) => void;

/** Source of control ticks. */
export interface Ticker {
  start(): void;
  stop(): void;
}

/**
 * Ticks on simulated time: whenever `/clock` reaches the next due time, counted from the first time received after `start`.
 * When the clock jumps back, due times are counted from its new time. A time that is older by up to `CLOCK_JUMP` is no tick:
 * with two publishers on `/clock` there would be more ticks than the control rate allows.
 */
export class SimulatedTicker implements Ticker {
  #running = false;
  #due: bigint | undefined;
  #last: bigint | undefined;

  constructor(
    /** ns; 0 for a tick at every new time, which lock-step needs. */
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

  /** Call this with each time from `/clock`, ns. */
  advance(now: bigint): void {
    if (!this.#running) return;
    const back = this.#last === undefined ? -1n : this.#last - now;
    if (back === 0n || (this.period > 0n && back > 0n && back <= CLOCK_JUMP)) return;
    this.#last = now;
    if (this.#due === undefined || back > 0n) this.#due = now;
    // Publishers round their stamps, so a time that is early by up to a thousandth of a period is on time.
    if (now + this.period / 1000n < this.#due) return;
    const lateness = now > this.#due ? now - this.#due : 0n;
    const missed = this.period > 0n ? lateness / this.period : 0n;
    this.#due = this.period > 0n ? this.#due + (missed + 1n) * this.period : now;
    this.onTick(now, this.period > 0n ? lateness : 0n);
  }
}
