/** Anything with a capture time, ns. */
export interface Stamped {
  readonly stamp: bigint;
  /** The oldest of its capture times, where it has several and `stamp` is the newest. */
  readonly oldest?: bigint;
}

/** The oldest capture time of an item, ns. */
export function oldestStamp({ stamp, oldest }: Stamped): bigint {
  return oldest ?? stamp;
}

/** The recent items of one stream, sorted by stamp. Bounded by age (`removeBefore`, `removeWhile`) and by the sum of the items' sizes. */
export class History<T extends Stamped> {
  readonly #items: T[] = [];
  readonly #sizes: number[] = [];
  #totalSize = 0;

  /** @param capacity largest sum of sizes; the two newest items are kept whatever their size. */
  constructor(readonly capacity: number) {}

  /** Oldest first. */
  get items(): readonly T[] {
    return this.#items;
  }

  get newest(): T | undefined {
    return this.#items.at(-1);
  }

  /** Replaces an item with the same stamp. @param size in the unit of `capacity`. */
  add(item: T, size: number): void {
    let index = this.#items.length;
    while (index > 0 && this.#items[index - 1]!.stamp > item.stamp) index--;
    const replaced = index > 0 && this.#items[index - 1]!.stamp === item.stamp ? 1 : 0;
    this.#items.splice(index - replaced, replaced, item);
    const [oldSize = 0] = this.#sizes.splice(index - replaced, replaced, size);
    this.#totalSize += size - oldSize;
    while (this.#totalSize > this.capacity && this.#items.length > 2) this.#removeOldest();
  }

  /** Removes all items with a stamp before `oldest`. */
  removeBefore(oldest: bigint): void {
    this.removeWhile(({ stamp }) => stamp < oldest);
  }

  /** Removes the oldest items for which `isOutdated`. */
  removeWhile(isOutdated: (item: T) => boolean): void {
    while (this.#items.length > 0 && isOutdated(this.#items[0]!)) this.#removeOldest();
  }

  clear(): void {
    this.removeWhile(() => true);
  }

  #removeOldest(): void {
    this.#items.shift();
    this.#totalSize -= this.#sizes.shift()!;
  }
}
