/** Free buffers that are kept, of any size. */
const MAX_FREE = 16;

/**
 * Copies pixels into buffers that are reused. Allocating hundreds of megabytes per second would keep the garbage collector
 * busier than the rest of a replay.
 */
export class PixelBufferPool {
  /** Released by the caller and possibly still in use, oldest first. */
  #released: Uint8Array[] = [];
  readonly #free: Uint8Array[] = [];

  /** @param isInUse whether the pixels of a released buffer are still needed. */
  constructor(readonly isInUse: (data: Uint8Array) => boolean) {}

  /** @returns a buffer that stays unchanged until it is released and not in use any more. */
  borrowCopy(data: Uint8Array): Uint8Array {
    const buffer = this.#borrow(data.byteLength);
    buffer.set(data);
    return buffer;
  }

  /** @param borrowed from `borrowCopy`; reused once `isInUse` is false. */
  release(borrowed: Uint8Array): void {
    this.#released.push(borrowed);
  }

  #borrow(length: number): Uint8Array {
    if (this.#released.length > 0) {
      const inUse: Uint8Array[] = [];
      for (const buffer of this.#released) (this.isInUse(buffer) ? inUse : this.#free).push(buffer);
      this.#released = inUse;
      this.#free.splice(0, this.#free.length - MAX_FREE);
    }
    const index = this.#free.findIndex(({ byteLength }) => byteLength === length);
    return index < 0 ? new Uint8Array(length) : this.#free.splice(index, 1)[0]!;
  }
}
