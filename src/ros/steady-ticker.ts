import type { OnTick, Ticker } from '../pipeline/ticker.js';
import type { Clock, LifecycleNode, Rcl, Timer } from './rcl.js';

/** Ticks on the steady clock at a fixed rate: a late tick does not delay the next one, and missed ticks are skipped. */
export class SteadyTicker implements Ticker {
  #timer: Timer | undefined;
  /** Kept alive here: rclnodejs's timer holds no reference to its clock. */
  readonly #steady: Clock;

  constructor(
    rcl: Rcl,
    private readonly node: LifecycleNode,
    private readonly period: bigint,
    private readonly onTick: OnTick,
  ) {
    this.#steady = new rcl.Clock(rcl.ClockType.STEADY_TIME);
  }

  start(): void {
    const clock = this.node.getClock();
    this.#timer ??= this.node.createTimer(
      this.period,
      ({ expectedCallTime, actualCallTime }) => {
        const lateness = actualCallTime - expectedCallTime;
        this.onTick(clock.now().nanoseconds, lateness > 0n ? lateness : 0n);
      },
      this.#steady,
    );
  }

  stop(): void {
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.node.destroyTimer(this.#timer);
    this.#timer = undefined;
  }
}
