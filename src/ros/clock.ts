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

/** ROS time: the system clock, or the newest time from `/clock` with `use_sim_time`. */
export class NodeTime {
  #simulated: bigint | undefined;
  #changedAt: bigint;

  constructor(
    private readonly node: LifecycleNode,
    /** Whether `use_sim_time` is set. */
    readonly simulated: boolean,
    /** A steady clock, ns. */
    private readonly steady: () => bigint = () => process.hrtime.bigint(),
  ) {
    this.#changedAt = steady();
  }

  /** How long `/clock` has brought no new time, ns on the steady clock; 0 without `use_sim_time`. */
  get unchangedFor(): bigint {
    return this.simulated ? this.steady() - this.#changedAt : 0n;
  }

  /** False with `use_sim_time` before the first message of `/clock`. */
  get known(): boolean {
    return !this.simulated || this.#simulated !== undefined;
  }

  /** ns; 0 while the time is not known. */
  now(): bigint {
    if (this.simulated) return this.#simulated ?? 0n;
    return this.node.getClock().now().nanoseconds;
  }

  /** Takes a time from `/clock`, ns. @returns whether it went back. */
  set(now: bigint): boolean {
    const back = this.#simulated !== undefined && now < this.#simulated;
    if (now !== this.#simulated) this.#changedAt = this.steady();
    this.#simulated = now;
    return back;
  }
}
