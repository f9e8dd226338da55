/** Anything with a capture time, ns. */
export interface Stamped {
  readonly stamp: bigint;
}

/** The recent items of one stream in the order of their stamps; what is kept is bounded by age and by weight. */
export class History<T extends Stamped> {
  readonly #items: T[] = [];
  readonly #weights: number[] = [];
  #weight = 0;

  /** Keeps at most `capacity` by the sum of weights, but never fewer than two items. */
  constructor(readonly capacity: number) {}

  /** Oldest first. */
  get items(): readonly T[] {
    return this.#items;
  }

  get newest(): T | undefined {
    return this.#items.at(-1);
  }

  /** An item with a stamp that is already there takes its place. */
  add(item: T, weight: number): void {
    let at = this.#items.length;
    while (at > 0 && this.#items[at - 1]!.stamp > item.stamp) at--;
    const replaces = at > 0 && this.#items[at - 1]!.stamp === item.stamp ? 1 : 0;
    this.#items.splice(at - replaces, replaces, item);
    const [old = 0] = this.#weights.splice(at - replaces, replaces, weight);
    this.#weight += weight - old;
    while (this.#weight > this.capacity && this.#items.length > 2) this.#dropOldest();
  }

  /** Forgets everything stamped before `oldest`. */
  expire(oldest: bigint): void {
    while (this.#items.length > 0 && this.#items[0]!.stamp < oldest) this.#dropOldest();
  }

  clear(): void {
    this.expire(1n << 64n);
  }

  #dropOldest(): void {
    this.#items.shift();
    this.#weight -= this.#weights.shift()!;
  }
}
