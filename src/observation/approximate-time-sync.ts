import { oldestStamp, type Stamped } from './history.js';

/**
 * Picks one item of each stream so that all stamps are within `maxSkew` (ns) of each other. Like `ApproximateTime` of
 * message_filters, but it picks the newest such set: its newest stamp is as new as possible, and each other stream
 * contributes its newest item that is not newer than that. An item with several capture times agrees with all of them.
 * @param streams each sorted by stamp, oldest first.
 * @returns one item per stream, in the order of `streams`; undefined where no set agrees.
 */
export function approximateTimeSync<T extends Stamped>(
  streams: readonly (readonly T[])[],
  maxSkew: bigint,
): T[] | undefined {
  const set: T[] = [];
  for (const stream of streams) {
    const newest = stream.at(-1);
    if (newest === undefined) return undefined;
    set.push(newest);
  }
  const positions = streams.map((stream) => stream.length - 1);
  for (;;) {
    // No set can contain an item newer than this, because the oldest time of a set is not newer than that of `set`.
    const limit = lowest(set.map(oldestStamp)) + maxSkew;
    let moved = false;
    for (const [s, stream] of streams.entries()) {
      while (set[s]!.stamp > limit) {
        moved = true;
        const older = stream[--positions[s]!];
        if (older === undefined) return undefined;
        set[s] = older;
      }
    }
    if (!moved) return set;
  }
}

/** The newest stamp of a set; an observation made of the set has this stamp. */
export function newestStamp(set: readonly Stamped[]): bigint {
  return set.reduce((high, item) => (item.stamp > high ? item.stamp : high), set[0]!.stamp);
}

function lowest(stamps: readonly bigint[]): bigint {
  return stamps.reduce((low, stamp) => (stamp < low ? stamp : low));
}
