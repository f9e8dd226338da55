/** How long after each other two subscriptions may deliver the same message, ms. */
const WINDOW_MS = 300;

interface Delivered {
  readonly message: Uint8Array;
  readonly at: number;
}

/**
 * Recognises messages that arrive twice because a topic has two subscriptions: a volatile one, which every publisher reaches,
 * and a transient local one, which also gets what was latched before.
 */
export class DuplicateDeliveries {
  /** By subscription, what the other one has not delivered yet. */
  readonly #alone: [Delivered[], Delivered[]] = [[], []];

  /**
   * Whether the other subscription has delivered this message just before.
   * @param subscription which of the two delivers it. @param now steady time, ms.
   */
  isSecond(subscription: 0 | 1, message: Uint8Array, now: number): boolean {
    const other = subscription === 0 ? 1 : 0;
    for (const index of [0, 1] as const) {
      this.#alone[index] = this.#alone[index].filter(({ at }) => now - at <= WINDOW_MS);
    }
    const first = this.#alone[other].findIndex((delivered) => Buffer.compare(delivered.message, message) === 0);
    if (first < 0) {
      this.#alone[subscription].push({ message, at: now });
      return false;
    }
    this.#alone[other].splice(first, 1);
    return true;
  }
}
