/** Free buffers that are kept, whatever their sizes. */
const MOST_FREE = 16;

/**
 * Copies of pixels in buffers that are used again. Hundreds of megabytes a second of new ones would keep the garbage
 * collector busier than everything else.
 */
export class PixelBuffers {
  /** Given out and offered, oldest first. */
  #offered: Uint8Array[] = [];
  readonly #free: Uint8Array[] = [];

  /** @param isHeld whether somebody still looks at a buffer that was offered. */
  constructor(readonly isHeld: (data: Uint8Array) => boolean) {}

  /** Stays as it is until after `offered`, and then for as long as it is held. */
  copy(data: Uint8Array): Uint8Array {
    const buffer = this.#take(data.byteLength);
    buffer.set(data);
    return buffer;
  }

  /** The copy was handed to whoever may hold it. */
  offered(copy: Uint8Array): void {
    this.#offered.push(copy);
  }

  #take(length: number): Uint8Array {
    if (this.#offered.length > 0) {
      const held: Uint8Array[] = [];
      for (const buffer of this.#offered) (this.isHeld(buffer) ? held : this.#free).push(buffer);
      this.#offered = held;
      this.#free.splice(0, this.#free.length - MOST_FREE);
    }
    const index = this.#free.findIndex(({ byteLength }) => byteLength === length);
    return index < 0 ? new Uint8Array(length) : this.#free.splice(index, 1)[0]!;
  }
}
