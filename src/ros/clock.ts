import type { OnTick, Ticker } from '../pipeline/ticker.js';
import type { Clock, LifecycleNode, Rcl, Timer } from './rcl.js';

/**
 * Ticks on the steady clock. The timer keeps its schedule: a late call does not move the next one, and calls that were
 * missed altogether are left out.
 */
export class SteadyTicker implements Ticker {
  #timer: Timer | undefined;
  /** Must outlive the timer, which does not keep it. */
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

/** ROS time as the node knows it: the system's clock, or the newest time of `/clock`. */
export class NodeTime {
  #simulated: bigint | undefined;
  #moved: bigint;

  constructor(
    private readonly node: LifecycleNode,
    /** Whether `use_sim_time` is set. */
    readonly simulated: boolean,
    /** Steady time, ns. */
    private readonly steady: () => bigint = () => process.hrtime.bigint(),
  ) {
    this.#moved = steady();
  }

  /** For how long `/clock` has brought no new time, ns of steady time; 0 where time is the system's. */
  get still(): bigint {
    return this.simulated ? this.steady() - this.#moved : 0n;
  }

  /** Whether there is a time: at once, or from the first message of `/clock` on. */
  get known(): boolean {
    return !this.simulated || this.#simulated !== undefined;
  }

  /** ns; 0 while there is no time. */
  now(): bigint {
    if (this.simulated) return this.#simulated ?? 0n;
    return this.node.getClock().now().nanoseconds;
  }

  /** Takes a time from `/clock`; whether it went back. */
  set(now: bigint): boolean {
    const back = this.#simulated !== undefined && now < this.#simulated;
    if (now !== this.#simulated) this.#moved = this.steady();
    this.#simulated = now;
    return back;
  }
}
