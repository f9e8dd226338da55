import { crc32 } from 'node:zlib';
import { Opcode, type DecompressHandlers } from '@mcap/core';
import { Pi05Error } from '../../errors.js';

/** Records of MCAP files as views: a chunk's bytes are looked through where they lie. https://mcap.dev/spec */

/** Opcode and length of the content. */
export const RECORD_HEADER = 9;
/** Channel id, sequence, log time and publish time, before the message's own bytes. */
export const MESSAGE_HEADER = 22;
/** What the fields of a chunk before its records take, with a name of a compression of up to 32 bytes. */
export const CHUNK_HEADER = 72;

/** A chunk that says it is larger is taken for damage. */
const LARGEST_CHUNK = 2 ** 30;

/** One record's place: its content is `[start, end)` of the bytes that were looked through. */
export interface RecordPlace {
  readonly opcode: Opcode;
  readonly start: number;
  readonly end: number;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit length as a number; what is not a safe integer becomes infinite and so fits nowhere. */
export function length64(view: DataView, offset: number): number {
  const length = view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
  return Number.isSafeInteger(length) ? length : Infinity;
}

/** The whole records in `bytes`, one after the other. @returns where the last whole one ends. */
export function* recordsIn(bytes: Uint8Array): Generator<RecordPlace, number, void> {
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

/** What a chunk says before its records. */
export interface ChunkHeader {
  readonly startTime: bigint;
  readonly uncompressedSize: bigint;
  readonly crc: number;
  readonly compression: string;
  /** Where the records begin in the chunk's content, and how many bytes they should take. */
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

/** The records of a whole chunk, decompressed and checked: a view on `content` where they are not compressed. @throws Pi05Error BAG_DATA. */
export function openChunk(content: Uint8Array, where: string, decompressors: DecompressHandlers): Uint8Array {
  const header = readChunkHeader(content);
  if (header === undefined || header.start + header.length > content.byteLength) {
    throw new Pi05Error('BAG_DATA', `Expected a whole chunk at ${where}, received ${content.byteLength} bytes of one`);
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
    if (uncompressedSize > LARGEST_CHUNK) {
      const problem = `Expected a chunk of at most ${LARGEST_CHUNK} bytes at ${where}, received ${uncompressedSize}`;
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

/** Where a message's own bytes lie in the bytes that were looked through. */
export interface MessagePlace {
  readonly channel: number;
  readonly logTime: bigint;
  readonly start: number;
  readonly end: number;
}

/**
 * Messages of the `wanted` channels in the order of their log times.
 * @param isCut the bytes may end in the middle of a record. @throws Pi05Error BAG_DATA.
 */
export function messagesIn(
  records: Uint8Array,
  wanted: (channel: number) => boolean,
  where: string,
  isCut: boolean,
): MessagePlace[] {
  const view = viewOf(records);
  const places: MessagePlace[] = [];
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
    sorted &&= places.length === 0 || places[places.length - 1]!.logTime <= logTime;
    places.push({ channel, logTime, start: start + MESSAGE_HEADER, end });
  }
  if (!isCut && step.value !== records.byteLength) {
    const left = records.byteLength - step.value;
    throw new Pi05Error('BAG_DATA', `Expected whole records at ${where}, received ${left} bytes that are none`);
  }
  if (!sorted) places.sort((a, b) => (a.logTime < b.logTime ? -1 : a.logTime > b.logTime ? 1 : 0));
  return places;
}
