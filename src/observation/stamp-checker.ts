import { Refusal } from '../errors.js';
import type { CameraFrame } from '../frame/frame.js';
import { formatSeconds, formatTimestamp } from '../time.js';
import type { Stamped } from './history.js';

/** What is remembered of the previous message. */
interface Previous {
  readonly stamp: bigint;
  readonly arrival: bigint;
  /** Where the message was refused because of its stamp: the stamp that it should have been newer than. */
  readonly refusedAfter?: bigint;
  /** The same message was delivered a second time. */
  duplicated: boolean;
}

/** Checks that the stamps of one stream advance. Each message is compared with the one before it. */
export class StampChecker {
  #previous: Previous | undefined;

  constructor(
    private readonly topic: string,
    /** How long a message may be used after its stamp, ns. */
    private readonly maxAge: bigint,
    /** Time between control ticks, ns. */
    private readonly period: bigint,
  ) {}

  reset(): void {
    this.#previous = undefined;
  }

  /** Call this with each message that passed every check. */
  accept({ stamp }: Stamped, now: bigint): void {
    this.#previous = { stamp, arrival: now, duplicated: false };
  }

  /**
   * Whether `item` is the previous message delivered a second time, as some bridges do: a frame with the same stamp and
   * the same colours within a control period. Joint readings may share a stamp and are never duplicates.
   *
   * A stamp older than the previous one is refused, unless the previous one is itself older than `maxAge`: then only the
   * age of `item` counts. The next message is compared with the refused one, so a publisher whose clock went back loses
   * one message.
   * @param accepted earlier messages of the stream that were accepted.
   * @throws Refusal TIME_BACKWARDS, CAMERA_FROZEN.
   */
  isDuplicate<T extends Stamped | CameraFrame>(item: T, accepted: readonly T[], now: bigint): boolean {
    const previous = this.#previous;
    if (previous === undefined || item.stamp > previous.stamp) return false;
    const oldestUsable = now - this.maxAge;
    const expectedAfter = item.stamp < previous.stamp ? previous.stamp : previous.refusedAfter;
    if (expectedAfter !== undefined) {
      if (expectedAfter < oldestUsable) return false;
      if (item.stamp >= oldestUsable) {
        this.#previous = { stamp: item.stamp, arrival: now, refusedAfter: expectedAfter, duplicated: false };
      }
      throw this.#refusal(
        'TIME_BACKWARDS',
        expectedAfter,
        `${formatTimestamp(item.stamp)} (${formatSeconds(expectedAfter - item.stamp)} s before it)`,
      );
    }
    if (!('data' in item)) return false;
    const first = accepted.findLast(({ stamp }) => stamp === item.stamp);
    const samePixels = first !== undefined && 'data' in first && first.fingerprint.hash === item.fingerprint.hash;
    if (samePixels && !previous.duplicated && now - previous.arrival < this.period) {
      previous.duplicated = true;
      return true;
    }
    throw this.#refusal(
      'CAMERA_FROZEN',
      previous.stamp,
      `the same again ${formatSeconds(now - previous.arrival)} s later`,
    );
  }

  #refusal(code: 'TIME_BACKWARDS' | 'CAMERA_FROZEN', previous: bigint, received: string): Refusal {
    const sentence = `Expected a stamp after ${formatTimestamp(previous)}, received ${received} from ${this.topic}`;
    return new Refusal(code, sentence, this.topic);
  }
}
