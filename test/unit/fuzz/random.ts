import { random } from '../pipeline/robot.js';

/** Choices of a seeded generator. */
export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = random(seed);
  }

  /** In [0, 1). */
  number(): number {
    return this.#next();
  }

  /** An integer from 0 to `limit` - 1; 0 for a limit of 0. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}
