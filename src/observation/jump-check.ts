/** Stamps may be this far from the times of the measurements, ns. */
export const STAMP_JITTER = 50_000_000n;
/** A measured joint may be this much faster than its commands may be: it overshoots, collides, and people push it. */
const SPEED_MARGIN = 2;
/** After a jump the values must agree for this long before they are used again, ns. */
export const AGREEMENT_TIME = 1_000_000_000n;

/** A step that the joint cannot have made. */
export interface Jump {
  readonly step: number;
  readonly allowed: number;
  /** ns. */
  readonly time: bigint;
}

/**
 * Compares each position of a joint with the one that arrived before it, used or not. The joint can move `maxVelocity` × `SPEED_MARGIN` × (time between
 * the stamps + jitter). After a larger step it is not known which of the two values is right, so both are in doubt. The joint is in
 * doubt until all its values have agreed for `AGREEMENT_TIME`: not while two publishers contradict each other, but again after
 * one of them has stopped. A joint that moved while no messages came has had the time for it.
 */
export class JumpCheck {
  /** In the robot's units per second; Infinity = not checked. */
  maxVelocity = Infinity;
  #previous: { readonly stamp: bigint; readonly position: number } | undefined;
  /** Stamp of the first value of those that agree since the last jump; undefined where the joint is not in doubt. */
  #agreesSince: bigint | undefined;

  reset(): void {
    this.#previous = undefined;
    this.#agreesSince = undefined;
  }

  get inDoubt(): boolean {
    return this.#agreesSince !== undefined;
  }

  /** For how long the values have agreed since the last jump, ns; 0 where the joint is not in doubt. */
  get agreement(): bigint {
    if (this.#agreesSince === undefined || this.#previous === undefined) return 0n;
    return this.#previous.stamp > this.#agreesSince ? this.#previous.stamp - this.#agreesSince : 0n;
  }

  /** @param stamp ns. @param jitter of the stamps, ns. @returns the jump, if it is one. */
  update(position: number, stamp: bigint, jitter: bigint): Jump | undefined {
    const previous = this.#previous;
    this.#previous = { stamp, position };
    if (previous === undefined) return undefined;
    const time = stamp > previous.stamp ? stamp - previous.stamp : previous.stamp - stamp;
    const step = Math.abs(position - previous.position);
    const allowed = (this.maxVelocity * SPEED_MARGIN * Number(time + jitter)) / 1e9;
    if (step > allowed) {
      this.#agreesSince = stamp;
      return { step, allowed, time };
    }
    if (this.#agreesSince !== undefined && stamp - this.#agreesSince >= AGREEMENT_TIME) this.#agreesSince = undefined;
    return undefined;
  }
}
