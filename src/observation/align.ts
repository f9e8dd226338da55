import type { Stamped } from './history.js';

/**
 * One item per stream, stamps within `maxSkew` of each other (ns), chosen as the newest such set: its newest stamp is as
 * new as can be, and every other stream gives its newest item that is not newer than that.
 * @param streams each sorted by stamp, oldest first.
 * @returns undefined where no set agrees.
 */
export function newestSet<T extends Stamped>(streams: readonly (readonly T[])[], maxSkew: bigint): T[] | undefined {
  const set: T[] = [];
  for (const stream of streams) {
    const newest = stream.at(-1);
    if (newest === undefined) return undefined;
    set.push(newest);
  }
  const positions = streams.map((stream) => stream.length - 1);
  for (;;) {
    // No set can hold an item newer than this: its oldest item is at most the oldest of the items considered here.
    const limit = set.reduce((low, item) => (item.stamp < low ? item.stamp : low), set[0]!.stamp) + maxSkew;
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

/** The newest stamp in a set, which is the set's own. */
export function stampOf(set: readonly Stamped[]): bigint {
  return set.reduce((high, item) => (item.stamp > high ? item.stamp : high), set[0]!.stamp);
}
