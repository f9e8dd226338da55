interface Entry<T> {
  readonly time: number;
  item: T;
}

/**
 * At most `capacity` items, spread evenly over a period whose length is not known in advance: one item per bucket of time.
 * When there are too many, buckets become twice as long. An item whose bucket is occupied is merged into it.
 */
export class TimeBuckets<T> {
  #entries: Entry<T>[] = [];

  /**
   * @param width initial length of a bucket, s
   * @param merge combines two items of one bucket; by default the first is kept
   */
  constructor(
    private readonly capacity: number,
    private width: number,
    private readonly merge: (earlier: T, later: T) => T = (earlier) => earlier,
  ) {}

  get items(): T[] {
    return this.#entries.map(({ item }) => item);
  }

  /** Whether an item at `time` (s) would start a new bucket. */
  startsBucket(time: number): boolean {
    const last = this.#entries.at(-1);
    return last === undefined || this.#bucket(last.time) !== this.#bucket(time);
  }

  add(time: number, item: T): void {
    this.#put(this.#entries, time, item);
    while (this.#entries.length > this.capacity) {
      this.width *= 2;
      const wider: Entry<T>[] = [];
      for (const entry of this.#entries) this.#put(wider, entry.time, entry.item);
      this.#entries = wider;
    }
  }

  #put(entries: Entry<T>[], time: number, item: T): void {
    const last = entries.at(-1);
    if (last !== undefined && this.#bucket(last.time) === this.#bucket(time)) last.item = this.merge(last.item, item);
    else entries.push({ time, item });
  }

  #bucket(time: number): number {
    return Math.trunc(time / this.width);
  }
}

interface Extremes {
  readonly minTime: number;
  readonly min: number;
  readonly maxTime: number;
  readonly max: number;
}

function union(a: Extremes, b: Extremes): Extremes {
  if (b.min >= a.min && b.max <= a.max) return a;
  const [low, high] = [b.min < a.min ? b : a, b.max > a.max ? b : a];
  return { minTime: low.minTime, min: low.min, maxTime: high.maxTime, max: high.max };
}

/** One quantity over time: the lowest and the highest sample of each of at most `buckets` buckets, so that no peak is lost. */
export class Series {
  readonly #buckets: TimeBuckets<Extremes>;

  constructor(buckets: number) {
    this.#buckets = new TimeBuckets<Extremes>(buckets, 1e-3, union);
  }

  /** Ignores values that are not finite. */
  add(time: number, value: number | undefined): void {
    if (value === undefined || !Number.isFinite(value)) return;
    this.#buckets.add(time, { minTime: time, min: value, maxTime: time, max: value });
  }

  /** [time, value] in ascending order of time. */
  get points(): [number, number][] {
    return this.#buckets.items.flatMap(({ minTime, min, maxTime, max }): [number, number][] => {
      if (minTime === maxTime) return [[minTime, min]];
      const [low, high]: [number, number][] = [
        [minTime, min],
        [maxTime, max],
      ];
      return minTime < maxTime ? [low!, high!] : [high!, low!];
    });
  }
}

/** Samples of a quantity without times: all of them up to `capacity`, then every 2nd, 4th … */
export class Samples {
  #values: number[] = [];
  #stride = 1;
  #seen = 0;

  constructor(private readonly capacity: number) {}

  add(value: number): void {
    if (this.#seen++ % this.#stride === 0) this.#values.push(value);
    if (this.#values.length <= this.capacity) return;
    this.#values = this.#values.filter((_, index) => index % 2 === 0);
    this.#stride *= 2;
  }

  get sorted(): number[] {
    return this.#values.toSorted((a, b) => a - b);
  }
}
