import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadDecompressHandlers } from '@mcap/support';
import { McapFile } from './mcap.js';
import { inLogTimeOrder } from './order.js';
import { SqliteFile } from './sqlite.js';
import type { BagFile } from './storage.js';

/** One serialised message of a bag. */
export interface BagMessage {
  readonly topic: string;
  /** As in the bag, such as `sensor_msgs/msg/Image`. */
  readonly type: string;
  /** When it was recorded, ns. */
  readonly logTime: bigint;
  /** CDR with its encapsulation header; valid until the next message is asked for. */
  readonly data: Uint8Array;
}

export interface BagTopic {
  readonly type: string;
  /** Undefined where the bag has no index that says. */
  readonly count: number | undefined;
}

/** A recorded bag, read in the order of recording and in bounded memory. */
export interface Bag {
  readonly topics: ReadonlyMap<string, BagTopic>;
  /** Of the first and the last message, ns; undefined where the bag has no index that says. */
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;
  /** Why only part of the bag could be read, one sentence; known at the latest when its messages have been read. */
  readonly damage: string | undefined;
  /** What is worth saying about the bag although all of it is read, one sentence each: no index, metadata.yaml that disagrees. */
  readonly notes: readonly string[];
  /** Messages of these topics in the order of `logTime`. @throws Pi05Error BAG_DATA. */
  messages(topics: ReadonlySet<string>): AsyncIterable<BagMessage>;
  close(): Promise<void>;
}

/**
 * Opens a bag: a folder with metadata.yaml, or one .mcap or .db3 file.
 * @throws Pi05Error BAG_FILE where there is no bag that can be read.
 */
export async function openBag(path: string): Promise<Bag> {
  const decompressors = await loadDecompressHandlers();
  const files: BagFile[] = [];
  const isFolder = (await stat(path)).isDirectory();
  const names = isFolder ? (await readdir(path)).filter((name) => /\.(mcap|db3)$/.test(name)).sort() : [''];
  for (const name of names) {
    const file = join(path, name);
    files.push(
      file.endsWith('.db3') ? await SqliteFile.open(file, file) : await McapFile.open(file, file, decompressors),
    );
  }
  return new OpenBag(files);
}

class OpenBag implements Bag {
  readonly #files: readonly BagFile[];
  readonly topics: ReadonlyMap<string, BagTopic>;
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;

  constructor(files: readonly BagFile[]) {
    this.#files = files;
    const topics = new Map<string, BagTopic>();
    for (const file of files) {
      for (const [topic, { type, count }] of file.topics) {
        topics.set(topic, { type, count: (topics.get(topic)?.count ?? 0) + count });
      }
      const { startTime, endTime } = file;
      if (startTime !== undefined && !(this.startTime! <= startTime)) this.startTime = startTime;
      if (endTime !== undefined && !(this.endTime! >= endTime)) this.endTime = endTime;
    }
    this.topics = topics;
  }

  get damage(): string | undefined {
    return this.#files.find(({ damage }) => damage !== undefined)?.damage;
  }

  get notes(): readonly string[] {
    return this.#files.flatMap(({ notes }) => notes);
  }

  messages(topics: ReadonlySet<string>): AsyncIterable<BagMessage> {
    const sources = this.#files.map((file) => ({
      startTime: file.startTime,
      messages: () => file.messages(topics),
    }));
    return inLogTimeOrder(sources);
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }
}
