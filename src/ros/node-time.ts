import { type ClockStep, SimulatedClock } from '../pipeline/simulated-clock.js';
import type { LifecycleNode } from './rcl.js';

/** ROS time: the system clock, or the newest time from `/clock` with `use_sim_time`. */
export class NodeTime {
  readonly #clock = new SimulatedClock();
  /** When the time of `/clock` changed, ns on the steady clock. */
  #changedAt: bigint;

  constructor(
    private readonly node: LifecycleNode,
    /** Whether `use_sim_time` is set. */
    readonly simulated: boolean,
    /** A steady clock, ns. */
    readonly steady: () => bigint = () => process.hrtime.bigint(),
  ) {
    this.#changedAt = steady();
  }

  /** Time since `/clock` last brought a new time, ns on the steady clock; 0 without `use_sim_time`. */
  get unchangedFor(): bigint {
    return this.simulated ? this.steady() - this.#changedAt : 0n;
  }

  /** False with `use_sim_time` until the first message on `/clock`. */
  get known(): boolean {
    return !this.simulated || this.#clock.time !== undefined;
  }

  /** ns; 0 while the time is not known. */
  now(): bigint {
    return this.simulated ? (this.#clock.time ?? 0n) : this.node.getClock().now().nanoseconds;
  }

  /** Sets the time received from `/clock`, ns. */
  set(now: bigint): ClockStep {
    const step = this.#clock.receive(now);
    if (step !== 'same' && step !== 'older') this.#changedAt = this.steady();
    return step;
  }
}
