import type { FileHandle } from 'node:fs/promises';

/** Reads `into.byteLength` bytes, or fewer at the end of the file. */
export async function readAt(handle: FileHandle, into: Uint8Array, position: number): Promise<Uint8Array> {
  let filled = 0;
  while (filled < into.byteLength) {
    const { bytesRead } = await handle.read(into, filled, into.byteLength - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return into.subarray(0, filled);
}

/** Reads small pieces of a file in ascending order through one buffer. */
export class FileWindow {
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.allocUnsafeSlow(1 << 16);
  #start = 0;
  #bytes: Uint8Array = this.#buffer.subarray(0, 0);

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Up to `length` bytes, valid until the next call. Pieces that do not fit the buffer are allocated. */
  async read(position: number, length: number): Promise<Uint8Array> {
    if (length > this.#buffer.byteLength) return readAt(this.#handle, Buffer.allocUnsafeSlow(length), position);
    const from = position - this.#start;
    if (from < 0 || from + length > this.#bytes.byteLength) {
      this.#bytes = await readAt(this.#handle, this.#buffer, position);
      this.#start = position;
    }
    return this.#bytes.subarray(position - this.#start, position - this.#start + length);
  }
}

/** Recycles buffers: the pieces in which bags are read have similar sizes. */
export class BufferPool {
  readonly #free: Buffer[] = [];

  borrow(length: number): Buffer {
    const index = this.#free.findIndex((buffer) => buffer.byteLength >= length);
    if (index >= 0) return this.#free.splice(index, 1)[0]!;
    this.#free.pop();
    return Buffer.allocUnsafeSlow(length + (length >> 2));
  }

  release(buffer: Buffer): void {
    if (this.#free.length < 4) this.#free.push(buffer);
  }
}
