import { toSeconds } from '../time.js';

interface Entry {
  readonly time: bigint;
  /** [action joints] as published: positions or velocities. */
  readonly values: Float64Array;
  /** [action joints] integral of the values from the first command to `time`; the distance for velocities. */
  readonly integral: Float64Array;
}

/** The recent commands. A command is in force until the next one. */
export class CommandHistory {
  /** Oldest first. */
  readonly #entries: Entry[] = [];

  /** @param memory how far back commands are needed, ns. */
  constructor(readonly memory: bigint) {}

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** @param time ns, not before that of the previous command. @param values [action joints], kept, not copied. */
  add(time: bigint, values: Float64Array): void {
    const last = this.#entries.at(-1);
    const seconds = last === undefined ? 0 : toSeconds(time - last.time);
    const integral = values.map((_, j) => (last === undefined ? 0 : last.integral[j]! + last.values[j]! * seconds));
    this.#entries.push({ time, values, integral });
    // The command that was in force at the beginning of the memory is kept.
    while (this.#entries.length > 1 && this.#entries[1]!.time <= time - this.memory) this.#entries.shift();
  }

  /** The smallest and the largest value of joint `j` in force between two times; undefined without commands. */
  range(j: number, from: bigint, to: bigint): { readonly lowest: number; readonly highest: number } | undefined {
    if (this.#entries.length === 0) return undefined;
    let lowest = Infinity;
    let highest = -Infinity;
    for (let i = this.#indexAt(from); i < this.#entries.length; i++) {
      const { time, values } = this.#entries[i]!;
      if (time > to && highest > -Infinity) break;
      lowest = Math.min(lowest, values[j]!);
      highest = Math.max(highest, values[j]!);
    }
    return { lowest, highest };
  }

  /** How far the velocity commands of joint `j` move it between two times. Nothing moves before the first command. */
  distance(j: number, from: bigint, to: bigint): number {
    return this.#integralAt(j, to) - this.#integralAt(j, from);
  }

  /** The smallest and the largest `distance` from any time between `from` and `to` until `to`; 0 is among them. */
  distances(j: number, from: bigint, to: bigint): { readonly lowest: number; readonly highest: number } {
    const whole = this.distance(j, from, to);
    let lowest = Math.min(0, whole);
    let highest = Math.max(0, whole);
    for (let i = this.#entries.length - 1; i >= 0 && this.#entries[i]!.time > from; i--) {
      const { time } = this.#entries[i]!;
      if (time >= to) continue;
      const distance = this.distance(j, time, to);
      lowest = Math.min(lowest, distance);
      highest = Math.max(highest, distance);
    }
    return { lowest, highest };
  }

  #integralAt(j: number, time: bigint): number {
    const entry = this.#entries[this.#indexAt(time)];
    if (entry === undefined) return 0;
    return entry.integral[j]! + entry.values[j]! * Math.max(0, toSeconds(time - entry.time));
  }

  /** Index of the command in force at `time`; 0 where that is before all. */
  #indexAt(time: bigint): number {
    let [low, high] = [0, this.#entries.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#entries[middle]!.time <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
