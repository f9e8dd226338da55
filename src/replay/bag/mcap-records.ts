import { crc32 } from 'node:zlib';
import { Opcode, type DecompressHandlers } from '@mcap/core';
import { Pi05Error } from '../../errors.js';

/** Records of MCAP files as views on the bytes that were read, without copies. https://mcap.dev/spec */

/** Bytes of an opcode and the content's length. */
export const RECORD_HEADER = 9;
/** Bytes of the channel id, sequence, log time and publish time before a message's data. */
export const MESSAGE_HEADER = 22;
/** Bytes of a chunk's fields before its records, for a compression name of up to 32 bytes. */
export const CHUNK_HEADER = 72;

/** A chunk with a larger size in its header counts as damaged. */
const MAX_CHUNK_BYTES = 2 ** 30;

/** The position of a record: its content is `[start, end)` of the bytes that were read. */
export interface RecordSpan {
  readonly opcode: Opcode;
  readonly start: number;
  readonly end: number;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit length as a number; Infinity where it is no safe integer, so that it exceeds every limit. */
export function length64(view: DataView, offset: number): number {
  const length = view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
  return Number.isSafeInteger(length) ? length : Infinity;
}

/** The complete records in `bytes`. @returns the end of the last one. */
export function* recordsIn(bytes: Uint8Array): Generator<RecordSpan, number, void> {
  const view = viewOf(bytes);
  let offset = 0;
  while (offset + RECORD_HEADER <= bytes.byteLength) {
    const start = offset + RECORD_HEADER;
    const end = start + length64(view, offset + 1);
    const opcode: Opcode = view.getUint8(offset);
    if (end > bytes.byteLength || opcode < Opcode.MIN) return offset;
    yield { opcode, start, end };
    offset = end;
  }
  return offset;
}

/** The fields of a chunk before its records. */
export interface ChunkHeader {
  readonly startTime: bigint;
  readonly uncompressedSize: bigint;
  readonly crc: number;
  readonly compression: string;
  /** Offset and size of the records in the chunk's content, bytes. */
  readonly start: number;
  readonly length: number;
}

/** @param content of a chunk from its first field. @returns undefined where it is too short to hold the fields. */
export function readChunkHeader(content: Uint8Array): ChunkHeader | undefined {
  if (content.byteLength < 40) return undefined;
  const view = viewOf(content);
  const name = view.getUint32(28, true);
  const start = 32 + name + 8;
  if (start > content.byteLength) return undefined;
  return {
    startTime: view.getBigUint64(0, true),
    uncompressedSize: view.getBigUint64(16, true),
    crc: view.getUint32(24, true),
    compression: Buffer.from(content.buffer, content.byteOffset + 32, name).toString('latin1'),
    start,
    length: length64(view, 32 + name),
  };
}

/** The records of a chunk, decompressed and checked; a view on `content` where they are not compressed. @throws Pi05Error BAG_DATA. */
export function openChunk(content: Uint8Array, where: string, decompressors: DecompressHandlers): Uint8Array {
  const header = readChunkHeader(content);
  if (header === undefined || header.start + header.length > content.byteLength) {
    throw new Pi05Error(
      'BAG_DATA',
      `Expected a complete chunk at ${where}, received ${content.byteLength} bytes of it`,
    );
  }
  const { start, length, compression, uncompressedSize, crc } = header;
  let records = content.subarray(start, start + length);
  if (compression !== '' && length > 0) {
    const decompress = Object.hasOwn(decompressors, compression) ? decompressors[compression] : undefined;
    if (decompress === undefined) {
      const known = Object.keys(decompressors).join(', ');
      throw new Pi05Error(
        'BAG_DATA',
        `Expected a compression of ${known} for the chunk at ${where}, received ${compression}`,
      );
    }
    if (uncompressedSize > MAX_CHUNK_BYTES) {
      const problem = `Expected a chunk of at most ${MAX_CHUNK_BYTES} bytes at ${where}, received ${uncompressedSize}`;
      throw new Pi05Error('BAG_DATA', problem);
    }
    try {
      records = decompress(records, uncompressedSize);
    } catch (error) {
      throw new Pi05Error(
        'BAG_DATA',
        `Expected ${compression} data in the chunk at ${where}: ${(error as Error).message}`,
      );
    }
  }
  if (BigInt(records.byteLength) !== uncompressedSize) {
    const problem = `Expected ${uncompressedSize} bytes in the chunk at ${where}, received ${records.byteLength}`;
    throw new Pi05Error('BAG_DATA', problem);
  }
  const sum = crc === 0 ? 0 : crc32(records);
  if (sum !== crc) {
    throw new Pi05Error(
      'BAG_DATA',
      `Expected checksum ${crc} for the chunk at ${where}, received ${sum}: it is damaged`,
    );
  }
  return records;
}

/** The position of a message: its data is `[start, end)` of the bytes that were read. */
export interface MessageSpan {
  readonly channel: number;
  readonly logTime: bigint;
  readonly start: number;
  readonly end: number;
}

/**
 * Messages of the `wanted` channels in the order of their log times.
 * @param isCut whether the bytes may end in the middle of a record. @throws Pi05Error BAG_DATA.
 */
export function messagesIn(
  records: Uint8Array,
  wanted: (channel: number) => boolean,
  where: string,
  isCut: boolean,
): MessageSpan[] {
  const view = viewOf(records);
  const spans: MessageSpan[] = [];
  let sorted = true;
  const walk = recordsIn(records);
  let step = walk.next();
  for (; step.done !== true; step = walk.next()) {
    const { opcode, start, end } = step.value;
    if (opcode !== Opcode.MESSAGE) continue;
    if (end - start < MESSAGE_HEADER) {
      throw new Pi05Error(
        'BAG_DATA',
        `Expected ${MESSAGE_HEADER} bytes or more for a message at ${where}, received ${end - start}`,
      );
    }
    const channel = view.getUint16(start, true);
    if (!wanted(channel)) continue;
    const logTime = view.getBigUint64(start + 6, true);
    sorted &&= spans.length === 0 || spans[spans.length - 1]!.logTime <= logTime;
    spans.push({ channel, logTime, start: start + MESSAGE_HEADER, end });
  }
  if (!isCut && step.value !== records.byteLength) {
    const left = records.byteLength - step.value;
    throw new Pi05Error('BAG_DATA', `Expected complete records at ${where}, received ${left} bytes that are no record`);
  }
  if (!sorted) spans.sort((a, b) => (a.logTime < b.logTime ? -1 : a.logTime > b.logTime ? 1 : 0));
  return spans;
}
