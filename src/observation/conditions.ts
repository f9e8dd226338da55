const REPEAT_AFTER = 1_000_000_000n;

/**
 * Conditions that last, by key. A condition is said when it begins and then once a second while it holds; after it was
 * cleared it is said at once again. (What a single message is refused for is no condition: each is said.)
 */
export class Conditions {
  readonly #said = new Map<string, bigint>();

  /** True when the condition is to be said at `now`. */
  holds(key: string, now: bigint): boolean {
    const said = this.#said.get(key);
    if (said !== undefined && now < said + REPEAT_AFTER && now >= said) return false;
    this.#said.set(key, now);
    return true;
  }

  clear(key: string): void {
    this.#said.delete(key);
  }

  clearAll(): void {
    this.#said.clear();
  }
}
