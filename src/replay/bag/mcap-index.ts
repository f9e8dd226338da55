import type { FileHandle } from 'node:fs/promises';
import {
  McapIndexedReader,
  McapStreamReader,
  MCAP_MAGIC,
  Opcode,
  type DecompressHandlers,
  type McapTypes,
} from '@mcap/core';
import { Pi05Error } from '../../errors.js';
import { FileWindow, readAt } from './file.js';
import {
  CHUNK_HEADER,
  length64,
  MESSAGE_HEADER,
  openChunk,
  readChunkHeader,
  RECORD_HEADER,
  recordsIn,
  viewOf,
} from './mcap-records.js';

/** The positions of the messages in an MCAP file: from its index, or from a scan of its records where it has none. */

/** A channel as the file declares it. */
export interface McapChannel {
  readonly topic: string;
  readonly type: string;
  readonly encoding: string;
}

/** Bytes of the file that hold messages. */
export interface Section {
  readonly kind: 'chunk' | 'records';
  /** Byte offset of the chunk's content, or of the first record. */
  readonly offset: number;
  readonly length: number;
  /** A lower bound of its messages' log times, ns. */
  readonly startTime: bigint;
  /** Channels with messages in it. */
  readonly channels: ReadonlySet<number>;
  /** The file ends before the section does. */
  readonly isCut: boolean;
}

export interface McapIndex {
  readonly channels: ReadonlyMap<number, McapChannel>;
  readonly sections: readonly Section[];
  /** Messages by channel. */
  readonly counts: ReadonlyMap<number, number>;
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;
  /** Chunks that have a message before the time at which they state to begin, as some writers leave them. */
  readonly lateStarts: number;
  /** Where the last complete record ends in a file without a footer. */
  readonly cutAt: number | undefined;
  /** Why the scan ended early. */
  readonly damage: string | undefined;
}

/** A footer that names a larger index is damaged. */
const MAX_INDEX_BYTES = 2 ** 28;
/** Messages outside of chunks are read in sections of about this many bytes. */
const RECORDS_SECTION_BYTES = 1 << 20;

/** The file's index; undefined where it has none, or one that does not list every message. */
export async function readIndex(handle: FileHandle, size: number): Promise<McapIndex | undefined> {
  const readable: McapTypes.IReadable = {
    size: () => Promise.resolve(BigInt(size)),
    read: async (offset, length) => {
      if (length > MAX_INDEX_BYTES) throw new Error('too large');
      const bytes = await readAt(handle, new Uint8Array(Number(length)), Number(offset));
      if (bytes.byteLength < length) throw new Error('too short');
      return bytes;
    },
  };
  let reader: McapIndexedReader;
  try {
    reader = await McapIndexedReader.Initialize({ readable });
  } catch {
    return undefined;
  }
  const { statistics, chunkIndexes, channelsById, schemasById } = reader;
  if (statistics === undefined) return undefined;
  let indexed = 0n;
  for (const { messageIndexLength, messageIndexOffsets } of chunkIndexes) {
    const headers = BigInt(messageIndexOffsets.size * (RECORD_HEADER + 6));
    indexed += (messageIndexLength - headers) / 16n;
    for (const id of messageIndexOffsets.keys()) if (!isDeclared(id, channelsById, schemasById)) return undefined;
  }
  if (indexed !== statistics.messageCount) return undefined;
  const window = new FileWindow(handle);
  const sections: Section[] = [];
  const times: TimeRange[] = [];
  let lateStarts = 0;
  for (const chunk of chunkIndexes) {
    const offset = Number(chunk.chunkStartOffset) + RECORD_HEADER;
    const length = Number(chunk.chunkLength) - RECORD_HEADER;
    if (!(length > 0 && offset + length <= size)) return undefined;
    if (chunk.messageIndexOffsets.size === 0) continue;
    const indexLength = Number(chunk.messageIndexLength);
    if (indexLength > MAX_INDEX_BYTES) return undefined;
    const range = indexedTimes(await window.read(offset + length, indexLength));
    if (range === undefined) return undefined;
    times.push(range);
    if (range.first < chunk.messageStartTime) lateStarts++;
    const channels = new Set(chunk.messageIndexOffsets.keys());
    sections.push({ kind: 'chunk', offset, length, startTime: range.first, channels, isCut: false });
  }
  const counts = new Map([...statistics.channelMessageCounts].map(([id, count]) => [id, Number(count)]));
  const range = times.length === 0 ? undefined : times.reduce(widest);
  return {
    channels: describe(channelsById, schemasById),
    sections,
    counts,
    startTime: range?.first,
    endTime: range?.last,
    lateStarts,
    cutAt: undefined,
    damage: undefined,
  };
}

interface TimeRange {
  /** Log times, ns. */
  readonly first: bigint;
  readonly last: bigint;
}

function widest(a: TimeRange, b: TimeRange): TimeRange {
  return { first: b.first < a.first ? b.first : a.first, last: b.last > a.last ? b.last : a.last };
}

/** The times in the message indexes that follow a chunk; undefined where they list no message. */
function indexedTimes(indexes: Uint8Array): TimeRange | undefined {
  const view = viewOf(indexes);
  let range: TimeRange | undefined;
  for (const { opcode, start, end } of recordsIn(indexes)) {
    if (opcode !== Opcode.MESSAGE_INDEX) continue;
    for (const time of timesOf(view, start, end)) {
      range = range === undefined ? { first: time, last: time } : widest(range, { first: time, last: time });
    }
  }
  return range;
}

/** The log times in a message index record, whose content is `[start, end)`: a channel, then pairs of a time and an offset. */
function* timesOf(view: DataView, start: number, end: number): Generator<bigint, void, void> {
  if (end - start < 6) return;
  const entries = Math.floor(Math.min(view.getUint32(start + 2, true), end - start - 6) / 16);
  for (let entry = 0; entry < entries; entry++) yield view.getBigUint64(start + 6 + entry * 16, true);
}

/**
 * Scans the records of a file from its beginning to its footer, or to the last complete record.
 * @throws Pi05Error BAG_DATA for damage before the first message.
 */
export async function scanIndex(
  handle: FileHandle,
  size: number,
  path: string,
  decompressors: DecompressHandlers,
): Promise<McapIndex> {
  const scan = new Scan(handle, size, path, decompressors);
  return scan.run();
}

/** A section whose end and content are not known yet. */
interface OpenSection {
  kind: Section['kind'];
  offset: number;
  length: number;
  /** As the chunk states it, until its messages are known. */
  startTime: bigint;
  /** Log time of its first message, ns. */
  firstTime?: bigint;
  channels: Set<number>;
  isCut: boolean;
}

class Scan {
  readonly #handle: FileHandle;
  readonly #size: number;
  readonly #path: string;
  readonly #decompressors: DecompressHandlers;
  readonly #window: FileWindow;
  /** Parses schemas and channels, and throws where two channels have one id. */
  readonly #parser = new McapStreamReader({ noMagicPrefix: true });
  readonly #schemas = new Map<number, McapTypes.Schema>();
  readonly #channels = new Map<number, McapTypes.Channel>();
  readonly #sections: OpenSection[] = [];
  readonly #counts = new Map<number, number>();
  #startTime: bigint | undefined;
  #endTime: bigint | undefined;
  /** The last chunk, until a message index lists its messages. */
  #chunkWithoutIndex: OpenSection | undefined;

  constructor(handle: FileHandle, size: number, path: string, decompressors: DecompressHandlers) {
    this.#handle = handle;
    this.#size = size;
    this.#path = path;
    this.#decompressors = decompressors;
    this.#window = new FileWindow(handle);
  }

  async run(): Promise<McapIndex> {
    let cutAt: number | undefined;
    let damage: string | undefined;
    try {
      cutAt = await this.#records();
      if (this.#chunkWithoutIndex !== undefined) await this.#inspect(this.#chunkWithoutIndex);
      await this.#findChannels();
    } catch (error) {
      const known = [...this.#counts.keys()].some((id) => isDeclared(id, this.#channels, this.#schemas));
      if (!(error instanceof Pi05Error) || !known) throw error;
      damage = error.message;
    }
    const lateStarts = this.#sections.filter(({ startTime, firstTime = startTime }) => firstTime < startTime).length;
    return {
      channels: describe(this.#channels, this.#schemas),
      sections: this.#sections.map(({ startTime, firstTime = startTime, ...section }): Section => {
        return { ...section, startTime: firstTime };
      }),
      lateStarts,
      counts: this.#counts,
      startTime: this.#startTime,
      endTime: this.#endTime,
      cutAt,
      damage,
    };
  }

  /** @returns the end of the last complete record in a file without a footer. */
  async #records(): Promise<number | undefined> {
    let offset = MCAP_MAGIC.length;
    while (offset + RECORD_HEADER <= this.#size) {
      const header = await this.#window.read(offset, RECORD_HEADER + CHUNK_HEADER);
      const opcode: Opcode = header[0]!;
      const start = offset + RECORD_HEADER;
      const end = start + length64(viewOf(header), 1);
      if (opcode < Opcode.MIN || end > this.#size) {
        if (opcode === Opcode.CHUNK) this.#cutChunk(start, header.subarray(RECORD_HEADER));
        break;
      }
      if (opcode !== Opcode.MESSAGE_INDEX && this.#chunkWithoutIndex !== undefined)
        await this.#inspect(this.#chunkWithoutIndex);
      if (opcode === Opcode.CHUNK) this.#chunk(start, end, header.subarray(RECORD_HEADER));
      else if (opcode === Opcode.MESSAGE) this.#message(offset, end, header.subarray(RECORD_HEADER));
      else if (opcode === Opcode.MESSAGE_INDEX) await this.#messageIndex(start, end);
      else if (opcode === Opcode.SCHEMA || opcode === Opcode.CHANNEL) {
        this.#declare(await this.#window.read(offset, end - offset));
      } else if (opcode === Opcode.FOOTER) return undefined;
      offset = end;
    }
    return offset;
  }

  #chunk(start: number, end: number, head: Uint8Array): void {
    const startTime = readChunkHeader(head)?.startTime ?? 0n;
    const length = end - start;
    this.#chunkWithoutIndex = { kind: 'chunk', offset: start, length, startTime, channels: new Set(), isCut: false };
    this.#sections.push(this.#chunkWithoutIndex);
  }

  /** The part that exists of a cut chunk, unless it is compressed. */
  #cutChunk(start: number, head: Uint8Array): void {
    const header = readChunkHeader(head);
    if (header?.compression !== '') return;
    const offset = start + header.start;
    const length = this.#size - offset;
    this.#chunkWithoutIndex = {
      kind: 'records',
      offset,
      length,
      startTime: header.startTime,
      channels: new Set(),
      isCut: true,
    };
    this.#sections.push(this.#chunkWithoutIndex);
  }

  #message(offset: number, end: number, content: Uint8Array): void {
    if (end - offset < RECORD_HEADER + MESSAGE_HEADER) return;
    const view = viewOf(content);
    const channel = view.getUint16(0, true);
    const logTime = view.getBigUint64(6, true);
    this.#count(channel, logTime);
    const last = this.#sections.at(-1);
    const extendsLast =
      last?.kind === 'records' && last.offset + last.length === offset && last.length < RECORDS_SECTION_BYTES;
    if (!extendsLast) {
      const length = end - offset;
      this.#sections.push({
        kind: 'records',
        offset,
        length,
        startTime: logTime,
        channels: new Set([channel]),
        isCut: false,
      });
      return;
    }
    last.length = end - last.offset;
    last.channels.add(channel);
    if (logTime < last.startTime) last.startTime = logTime;
  }

  async #messageIndex(start: number, end: number): Promise<void> {
    const content = await this.#window.read(start, end - start);
    if (content.byteLength < 6) return;
    const view = viewOf(content);
    const channel = view.getUint16(0, true);
    const section = this.#sections.at(-1);
    for (const logTime of timesOf(view, 0, content.byteLength)) this.#count(channel, logTime, section);
    this.#chunkWithoutIndex = undefined;
  }

  /** Counts a message. @param section of a chunk's messages. */
  #count(channel: number, logTime: bigint, section?: OpenSection): void {
    this.#counts.set(channel, (this.#counts.get(channel) ?? 0) + 1);
    if (this.#startTime === undefined || logTime < this.#startTime) this.#startTime = logTime;
    if (this.#endTime === undefined || logTime > this.#endTime) this.#endTime = logTime;
    if (section === undefined) return;
    section.channels.add(channel);
    if (section.firstTime === undefined || logTime < section.firstTime) section.firstTime = logTime;
  }

  #declare(record: Uint8Array): void {
    try {
      this.#parser.append(record);
      const parsed = this.#parser.nextRecord();
      if (parsed?.type === 'Schema') this.#schemas.set(parsed.id, parsed);
      if (parsed?.type === 'Channel') this.#channels.set(parsed.id, parsed);
    } catch (error) {
      throw new Pi05Error('BAG_DATA', `Expected schemas and channels in ${this.#path}: ${(error as Error).message}`);
    }
  }

  /** Counts the messages of a section that has no message index. */
  async #inspect(section: OpenSection): Promise<void> {
    this.#chunkWithoutIndex = undefined;
    const records = await this.#contents(section);
    const view = viewOf(records);
    for (const { opcode, start, end } of recordsIn(records)) {
      if (opcode === Opcode.MESSAGE && end - start >= MESSAGE_HEADER) {
        const channel = view.getUint16(start, true);
        const logTime = view.getBigUint64(start + 6, true);
        this.#count(channel, logTime, section);
      } else if (opcode === Opcode.SCHEMA || opcode === Opcode.CHANNEL) {
        this.#declare(records.subarray(start - RECORD_HEADER, end));
      }
    }
  }

  /** Reads channels from the chunks that declare them, where the file has no summary. */
  async #findChannels(): Promise<void> {
    for (const section of this.#sections) {
      const isKnown = [...section.channels].every((id) => isDeclared(id, this.#channels, this.#schemas));
      if (isKnown || section.kind === 'records') continue;
      const records = await this.#contents(section);
      for (const { opcode, start, end } of recordsIn(records)) {
        if (opcode === Opcode.SCHEMA || opcode === Opcode.CHANNEL) {
          this.#declare(records.subarray(start - RECORD_HEADER, end));
        }
      }
    }
  }

  async #contents({ kind, offset, length }: OpenSection): Promise<Uint8Array> {
    const bytes = await readAt(this.#handle, Buffer.allocUnsafeSlow(length), offset);
    return kind === 'records' ? bytes : openChunk(bytes, `byte ${offset} of ${this.#path}`, this.#decompressors);
  }
}

/** Whether both the channel and its schema are known. */
function isDeclared(
  id: number,
  channels: ReadonlyMap<number, McapTypes.Channel>,
  schemas: ReadonlyMap<number, McapTypes.Schema>,
): boolean {
  const schema = channels.get(id)?.schemaId;
  return schema === 0 || (schema !== undefined && schemas.has(schema));
}

function describe(
  channels: ReadonlyMap<number, McapTypes.Channel>,
  schemas: ReadonlyMap<number, McapTypes.Schema>,
): Map<number, McapChannel> {
  return new Map(
    [...channels].map(([id, { topic, schemaId, messageEncoding }]) => [
      id,
      { topic, type: schemas.get(schemaId)?.name ?? '', encoding: messageEncoding },
    ]),
  );
}
