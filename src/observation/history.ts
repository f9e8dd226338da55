/** Anything with a capture time, ns. */
export interface Stamped {
  readonly stamp: bigint;
}

/** The recent items of one stream, sorted by stamp. Bounded by age (`removeBefore`) and by the sum of the items' sizes. */
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
    while (this.#items.length > 0 && this.#items[0]!.stamp < oldest) this.#removeOldest();
  }

  clear(): void {
    this.removeBefore(1n << 64n);
  }

  #removeOldest(): void {
    this.#items.shift();
    this.#totalSize -= this.#sizes.shift()!;
  }
}
