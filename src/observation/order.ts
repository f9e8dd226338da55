import { Refusal } from '../errors.js';
import type { CameraFrame } from '../frame/frame.js';
import { formatSeconds, formatTimestamp } from '../time.js';
import type { Stamped } from './history.js';

/** The message before. */
interface Last {
  readonly stamp: bigint;
  readonly arrival: bigint;
  /** It was refused for being older than this. */
  readonly after?: bigint;
  /** It came once more. */
  repeated: boolean;
}

/** Judges whether the stamps of one stream go on, each by the message before it. */
export class Order {
  #last: Last | undefined;

  constructor(
    private readonly topic: string,
    /** For how long a stamp counts, ns. */
    private readonly maxAge: bigint,
    /** Between control ticks, ns. */
    private readonly period: bigint,
  ) {}

  reset(): void {
    this.#last = undefined;
  }

  /** To be called with each item that passed every check. */
  accept({ stamp }: Stamped, now: bigint): void {
    this.#last = { stamp, arrival: now, repeated: false };
  }

  /**
   * Refuses a stamp that is older than the one before, unless that one is out of date: then its age alone decides. The next
   * message is compared with the refused one, so that a publisher whose clock went back is heard again with that. A camera's
   * stamp may come twice within a control period with the same pixels, as where a bridge delivers twice; joint readings
   * may share one.
   * @param earlier accepted items. @returns whether this is such a second delivery.
   * @throws Refusal TIME_BACKWARDS, CAMERA_FROZEN.
   */
  isRedelivery<T extends Stamped | CameraFrame>(item: T, earlier: readonly T[], now: bigint): boolean {
    const last = this.#last;
    if (last === undefined || item.stamp > last.stamp) return false;
    const outdated = now - this.maxAge;
    const after = item.stamp < last.stamp ? last.stamp : last.after;
    if (after !== undefined) {
      if (after < outdated) return false;
      if (item.stamp >= outdated) this.#last = { stamp: item.stamp, arrival: now, after, repeated: false };
      throw this.#refusal(
        'TIME_BACKWARDS',
        after,
        `${formatTimestamp(item.stamp)} (${formatSeconds(after - item.stamp)} s before it)`,
      );
    }
    if (!('data' in item)) return false;
    const first = earlier.findLast(({ stamp }) => stamp === item.stamp);
    const same = first !== undefined && 'data' in first && Buffer.compare(first.data, item.data) === 0;
    if (same && !last.repeated && now - last.arrival < this.period) return (last.repeated = true);
    throw this.#refusal('CAMERA_FROZEN', last.stamp, `the same again ${formatSeconds(now - last.arrival)} s later`);
  }

  #refusal(code: 'TIME_BACKWARDS' | 'CAMERA_FROZEN', last: bigint, received: string): Refusal {
    const sentence = `Expected a stamp after ${formatTimestamp(last)}, received ${received} from ${this.topic}`;
    return new Refusal(code, sentence, this.topic);
  }
}
