interface Entry<T> {
  readonly time: number;
  item: T;
}

/**
 * At most `capacity` items spread evenly over a stretch of time whose length is not known ahead: one for each slot of
 * time, and slots twice as long when there are too many. What falls into a slot that is taken is merged into it.
 */
export class TimeBuckets<T> {
  #entries: Entry<T>[] = [];

  /**
   * @param width seconds of a slot at first
   * @param merge two items of one slot; by default the first stays
   */
  constructor(
    private readonly capacity: number,
    private width: number,
    private readonly merge: (earlier: T, later: T) => T = (earlier) => earlier,
  ) {}

  get items(): T[] {
    return this.#entries.map(({ item }) => item);
  }

  /** Whether an item at `time` (s) would have a slot of its own. */
  begins(time: number): boolean {
    const last = this.#entries.at(-1);
    return last === undefined || this.#slot(last.time) !== this.#slot(time);
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
    if (last !== undefined && this.#slot(last.time) === this.#slot(time)) last.item = this.merge(last.item, item);
    else entries.push({ time, item });
  }

  #slot(time: number): number {
    return Math.trunc(time / this.width);
  }
}

interface Extremes {
  readonly minTime: number;
  readonly min: number;
  readonly maxTime: number;
  readonly max: number;
}

function joined(a: Extremes, b: Extremes): Extremes {
  if (b.min >= a.min && b.max <= a.max) return a;
  const [low, high] = [b.min < a.min ? b : a, b.max > a.max ? b : a];
  return { minTime: low.minTime, min: low.min, maxTime: high.maxTime, max: high.max };
}

/** One quantity over time: at most `slots` pairs of a lowest and a highest sample, so that no peak is lost. */
export class Series {
  readonly #slots: TimeBuckets<Extremes>;

  constructor(slots: number) {
    this.#slots = new TimeBuckets<Extremes>(slots, 1e-3, joined);
  }

  /** What is not finite is left out. */
  add(time: number, value: number | undefined): void {
    if (value === undefined || !Number.isFinite(value)) return;
    this.#slots.add(time, { minTime: time, min: value, maxTime: time, max: value });
  }

  /** [time, value] in the order of time. */
  get points(): [number, number][] {
    return this.#slots.items.flatMap(({ minTime, min, maxTime, max }): [number, number][] => {
      if (minTime === maxTime) return [[minTime, min]];
      const [low, high]: [number, number][] = [
        [minTime, min],
        [maxTime, max],
      ];
      return minTime < maxTime ? [low!, high!] : [high!, low!];
    });
  }
}

/** Samples of a quantity without their times: all of the first `capacity`, and every 2nd, 4th … of more. */
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
