import type { LifecycleNode } from './rcl.js';

/** ROS time: the system clock, or the newest time from `/clock` with `use_sim_time`. */
export class NodeTime {
  /** The newest time from `/clock`, ns. */
  #clockTime: bigint | undefined;
  /** When `#clockTime` changed, ns on the steady clock. */
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

  /** Time since `/clock` last brought a new time, ns on the steady clock; 0 without `use_sim_time`. */
  get unchangedFor(): bigint {
    return this.simulated ? this.steady() - this.#changedAt : 0n;
  }

  /** False with `use_sim_time` until the first message on `/clock`. */
  get known(): boolean {
    return !this.simulated || this.#clockTime !== undefined;
  }

  /** ns; 0 while the time is not known. */
  now(): bigint {
    if (this.simulated) return this.#clockTime ?? 0n;
    return this.node.getClock().now().nanoseconds;
  }

  /** Sets the time received from `/clock`, ns. @returns whether it is earlier than the time before it. */
  set(now: bigint): boolean {
    const wentBack = this.#clockTime !== undefined && now < this.#clockTime;
    if (now !== this.#clockTime) this.#changedAt = this.steady();
    this.#clockTime = now;
    return wentBack;
  }
}
