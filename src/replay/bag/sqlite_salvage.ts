import type { FileHandle } from 'node:fs/promises';
import { readAt } from './file.js';
import { viewOf } from './mcap-records.js';

/**
 * Reads the rows of rosbag2's table `messages` out of a SQLite file that ends early, page by page and without the tree above
 * the rows: its upper pages lie behind most of what they lead to. https://www.sqlite.org/fileformat2.html
 */

const LEAF = 0x0d;
/** id (an alias of the row id), topic_id, timestamp, data. */
const COLUMNS = 4;
const READ_TOGETHER = 1 << 20;

/** The first 100 bytes of the file, as far as they matter here. */
export interface SqliteHeader {
  readonly pageSize: number;
  readonly usable: number;
  /** Pages that the file should have; undefined where the header is older than the file. */
  readonly pages: number | undefined;
}

/** @returns undefined where the bytes are no such header. */
export function readSqliteHeader(bytes: Uint8Array): SqliteHeader | undefined {
  if (bytes.byteLength < 100 || Buffer.from(bytes.subarray(0, 16)).toString('latin1') !== 'SQLite format 3\0') {
    return undefined;
  }
  const view = viewOf(bytes);
  const stored = view.getUint16(16);
  const pageSize = stored === 1 ? 65536 : stored;
  const usable = pageSize - view.getUint8(20);
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0 || usable < 480) return undefined;
  const isCurrent = view.getUint32(24) === view.getUint32(92);
  return { pageSize, usable, pages: isCurrent ? view.getUint32(28) : undefined };
}

/** A row: where its payload begins, how much of it is on the leaf, and the page that it goes on at. */
export interface SalvagedRow {
  readonly id: number;
  readonly topic: number;
  readonly timestamp: bigint;
  /** Of the payload in the file. */
  readonly offset: number;
  readonly local: number;
  readonly overflow: number;
  /** Of `data` in the payload. */
  readonly start: number;
  readonly length: number;
}

export class Salvage {
  readonly #handle: FileHandle;
  readonly #header: SqliteHeader;
  readonly #pages: number;

  /** @param size of the file; a page that is not whole is not read. */
  constructor(handle: FileHandle, header: SqliteHeader, size: number) {
    this.#handle = handle;
    this.#header = header;
    this.#pages = Math.floor(size / header.pageSize);
  }

  /** The rows, by timestamp. */
  async rows(): Promise<SalvagedRow[]> {
    const { pageSize } = this.#header;
    const together = Math.max(1, Math.floor(READ_TOGETHER / pageSize));
    const buffer = Buffer.allocUnsafeSlow(together * pageSize);
    const rows: SalvagedRow[] = [];
    // The first page holds the schema.
    for (let first = 1; first < this.#pages; first += together) {
      const count = Math.min(together, this.#pages - first);
      const bytes = await readAt(this.#handle, buffer.subarray(0, count * pageSize), first * pageSize);
      for (let page = 0; page < count; page++) {
        const start = page * pageSize;
        if (bytes[start] !== LEAF) continue;
        this.#leaf(bytes.subarray(start, start + pageSize), (first + page) * pageSize, rows);
      }
    }
    return this.#whole(rows.sort((a, b) => a.id - b.id));
  }

  /** Rows up to the first of which a part is missing: later ones that are whole would leave a gap in the recording. */
  async #whole(rows: readonly SalvagedRow[]): Promise<SalvagedRow[]> {
    const whole: SalvagedRow[] = [];
    for (const row of rows) {
      const pages = Math.ceil((row.start + row.length - row.local) / (this.#header.usable - 4));
      const reachesEnd = row.overflow > 0 && row.overflow + pages - 1 > this.#pages;
      if (reachesEnd && (await this.data(row)) === undefined) break;
      if (row.id !== whole.at(-1)?.id) whole.push(row);
    }
    return whole.sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
  }

  /** The row's `data`; undefined where not all of it is there. */
  async data({ offset, local, overflow, start, length }: SalvagedRow): Promise<Uint8Array | undefined> {
    const { pageSize, usable } = this.#header;
    const payload = Buffer.allocUnsafe(start + length);
    let filled = (await readAt(this.#handle, payload.subarray(0, local), offset)).byteLength;
    let next = overflow;
    let block: Uint8Array = payload.subarray(0, 0);
    let blockStart = 0;
    while (filled < payload.byteLength) {
      if (next < 2 || next > this.#pages) return undefined;
      const position = (next - 1) * pageSize;
      if (position < blockStart || position + pageSize > blockStart + block.byteLength) {
        // Overflow pages mostly follow one another.
        const wanted = Math.ceil((payload.byteLength - filled) / (usable - 4)) + 1;
        const count = Math.min(wanted, this.#pages - next + 1, Math.ceil(READ_TOGETHER / pageSize));
        block = await readAt(this.#handle, Buffer.allocUnsafe(count * pageSize), position);
        blockStart = position;
      }
      const page = block.subarray(position - blockStart, position - blockStart + usable);
      if (page.byteLength < usable) return undefined;
      next = viewOf(page).getUint32(0);
      const piece = page.subarray(4, 4 + payload.byteLength - filled);
      payload.set(piece, filled);
      filled += piece.byteLength;
    }
    return payload.subarray(start);
  }

  #leaf(page: Uint8Array, position: number, rows: SalvagedRow[]): void {
    const { usable } = this.#header;
    const view = viewOf(page);
    const cells = view.getUint16(3);
    for (let cell = 0; cell < cells && 10 + cell * 2 <= usable; cell++) {
      const row = this.#cell(page, view.getUint16(8 + cell * 2), position);
      if (row !== undefined) rows.push(row);
    }
  }

  /** A cell: payload size, row id, the payload's first bytes, and an overflow page where there are more. */
  #cell(page: Uint8Array, at: number, position: number): SalvagedRow | undefined {
    const { usable } = this.#header;
    const cursor = new Cursor(page.subarray(0, usable), at);
    const size = cursor.varint();
    const id = cursor.varint();
    const from = cursor.offset;
    const local = localBytes(size, usable);
    const overflow = local < size ? from + local : 0;
    if (from + local + (overflow > 0 ? 4 : 0) > usable) return undefined;
    const headerSize = cursor.varint();
    const types = Array.from({ length: COLUMNS }, () => cursor.varint());
    if (cursor.offset !== from + headerSize) return undefined;
    const [key = -1, topicType = 0, timeType = 0, dataType = 0] = types;
    if (key !== 0 || dataType < 12 || dataType % 2 !== 0) return undefined;
    const topic = cursor.integer(topicType);
    const timestamp = cursor.integer(timeType);
    const length = (dataType - 12) / 2;
    const start = cursor.offset - from;
    if (topic === undefined || timestamp === undefined || start + length !== size || start > local) return undefined;
    return {
      id,
      topic: Number(topic),
      timestamp,
      offset: position + from,
      local,
      overflow: overflow > 0 ? viewOf(page).getUint32(overflow) : 0,
      start,
      length,
    };
  }
}

/** How much of a table row's payload is on its leaf page. */
function localBytes(size: number, usable: number): number {
  if (size <= usable - 35) return size;
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const local = least + ((size - least) % (usable - 4));
  return local <= usable - 35 ? local : least;
}

/** Reads a page; what would lie behind its end reads as zero or as undefined. */
class Cursor {
  readonly #page: Uint8Array;
  offset: number;

  constructor(page: Uint8Array, offset: number) {
    this.#page = page;
    this.offset = offset;
  }

  /** Big-endian, seven bits a byte, nine bytes at most. */
  varint(): number {
    let value = 0;
    for (let i = 0; i < 9; i++) {
      const byte = this.#page[this.offset++] ?? 0;
      if (i === 8) return value * 256 + byte;
      value = value * 128 + (byte & 0x7f);
      if ((byte & 0x80) === 0) return value;
    }
    return value;
  }

  /** An integer column of a serial type. */
  integer(type: number): bigint | undefined {
    if (type === 8) return 0n;
    if (type === 9) return 1n;
    const bytes = [0, 1, 2, 3, 4, 6, 8][type];
    if (bytes === undefined || bytes === 0 || this.offset + bytes > this.#page.byteLength) return undefined;
    let value = 0n;
    for (let i = 0; i < bytes; i++) value = (value << 8n) | BigInt(this.#page[this.offset++]!);
    return BigInt.asIntN(bytes * 8, value);
  }
}
