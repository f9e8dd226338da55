import { open, type FileHandle } from 'node:fs/promises';
import type { DecompressHandlers } from '@mcap/core';
import { Pi05Error } from '../../errors.js';
import { BufferPool, readAt } from './file.js';
import { readIndex, scanIndex, type McapIndex, type Section } from './mcap-index.js';
import { mergeByTime, type Source } from './merge-by-time.js';
import { messagesIn, openChunk } from './mcap-records.js';
import { addTopic, type BagFile, type BagMessage, type FileTopic } from './storage.js';

/** One MCAP file, read by its index or, where it has none, after a scan of its records. */
export class McapFile implements BagFile {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #index: McapIndex;
  readonly #decompressors: DecompressHandlers;
  readonly #pool = new BufferPool();
  readonly topics: ReadonlyMap<string, FileTopic>;
  readonly notes: readonly string[];
  readonly damage: string | undefined;

  private constructor(
    handle: FileHandle,
    path: string,
    size: number,
    index: McapIndex,
    isIndexed: boolean,
    decompressors: DecompressHandlers,
  ) {
    this.#handle = handle;
    this.#path = path;
    this.#index = index;
    this.#decompressors = decompressors;
    this.topics = topicsOf(index, path);
    const count = [...index.counts.values()].reduce((sum, messages) => sum + messages, 0);
    if (index.cutAt !== undefined) {
      this.damage = `Expected a footer at the end of ${path}, found complete records up to byte ${index.cutAt} of ${size}: the file was cut or never closed, and the ${count} messages that it holds are read`;
    } else if (index.damage !== undefined) {
      this.damage = `${index.damage}, and the ${count} messages that precede it are read`;
    }
    const notes: string[] = [];
    if (this.damage === undefined && !isIndexed) {
      notes.push(`${path} has no index; its ${count} messages were found by a scan of the file`);
    }
    const { lateStarts } = index;
    if (lateStarts > 0) {
      const chunks = lateStarts === 1 ? 'a chunk begins' : `${lateStarts} chunks begin`;
      notes.push(`${path}: ${chunks} before the stated time; the times of the messages are used`);
    }
    this.notes = notes;
  }

  /** @param name of the file for error sentences. @throws Pi05Error BAG_DATA for damage before the first message. */
  static async open(path: string, name: string, decompressors: DecompressHandlers): Promise<McapFile> {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      const index = await readIndex(handle, size);
      const known = index ?? (await scanIndex(handle, size, name, decompressors));
      return new McapFile(handle, name, size, known, index !== undefined, decompressors);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get startTime(): bigint | undefined {
    return this.#index.startTime;
  }

  get endTime(): bigint | undefined {
    return this.#index.endTime;
  }

  messages(topics: ReadonlySet<string>): AsyncGenerator<BagMessage, void, void> {
    const wanted = new Set<number>();
    for (const [id, { topic }] of this.#index.channels) if (topics.has(topic)) wanted.add(id);
    const sources = this.#index.sections
      .filter(({ channels }) => [...channels].some((id) => wanted.has(id)))
      .map((section): Source => ({ startTime: section.startTime, messages: () => this.#section(section, wanted) }));
    return mergeByTime(sources);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async *#section(section: Section, wanted: ReadonlySet<number>): AsyncGenerator<BagMessage, void, void> {
    const { kind, offset, length, startTime, isCut } = section;
    const buffer = this.#pool.borrow(length);
    try {
      const where = `byte ${offset} of ${this.#path}`;
      const content = await readAt(this.#handle, buffer.subarray(0, length), offset);
      if (content.byteLength < length) {
        throw new Pi05Error('BAG_DATA', `Expected ${length} bytes at ${where}, received ${content.byteLength}`);
      }
      const records = kind === 'chunk' ? openChunk(content, where, this.#decompressors) : content;
      const spans = messagesIn(records, (id) => wanted.has(id), where, isCut);
      const first = spans[0]?.logTime ?? startTime;
      if (first < startTime) {
        throw new Pi05Error(
          'BAG_DATA',
          `Expected no message before ${startTime} ns at ${where}, received one of ${first} ns`,
        );
      }
      for (const { channel, logTime, start, end } of spans) {
        const { topic, type } = this.#index.channels.get(channel)!;
        yield { topic, type, logTime, data: records.subarray(start, end) };
      }
    } finally {
      this.#pool.release(buffer);
    }
  }
}

function topicsOf({ channels, counts }: McapIndex, path: string): Map<string, FileTopic> {
  const topics = new Map<string, FileTopic>();
  for (const [id, { topic, type, encoding }] of channels) {
    addTopic(topics, topic, { type, encoding, count: counts.get(id) ?? 0 }, path);
  }
  return topics;
}
