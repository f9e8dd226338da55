import { loadDecompressHandlers } from '@mcap/support';
import { errorMessage, Pi05Error } from '../../errors.js';
import type { TopicTypes } from './metadata.js';
import { openFiles, type OpenFiles } from './open.js';
import { mergeByTime } from './merge-by-time.js';
import { addTopic, type BagFile, type BagMessage, type FileTopic } from './storage.js';
import { decompressMessage, isZstandard } from './zstd.js';

export type { BagMessage } from './storage.js';

export interface BagTopic {
  readonly type: string;
  /** Number of messages; undefined where the bag has no index. */
  readonly count: number | undefined;
  /** One sentence where the topic has messages of several types, which cannot be read. */
  readonly conflict?: string;
}

/** A recorded bag, read in the order of recording and in bounded memory. */
export interface Bag {
  readonly topics: ReadonlyMap<string, BagTopic>;
  /** Time of recording of the first and the last message, ns; undefined where the bag has no index. */
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;
  /** Why only part of the bag is readable; final once all messages have been read. */
  readonly damage: string | undefined;
  /** One sentence each about what is unusual but does no harm: a missing index, a metadata.yaml that does not match the files. */
  readonly notes: readonly string[];
  /** Messages of these topics in the order of `logTime`. Several may be read at a time. @throws Pi05Error BAG_DATA. */
  messages(topics: ReadonlySet<string>): AsyncIterable<BagMessage>;
  close(): Promise<void>;
}

/**
 * Opens a bag of ROS 2: a directory that rosbag2 recorded, or one of its files (.mcap or .db3, also compressed with zstd).
 * The first bytes of a file decide its format.
 * @throws Pi05Error BAG_FILE where there is no bag or no readable message in it; BAG_DATA for damage.
 */
export async function openBag(path: string): Promise<Bag> {
  const decompressors = await loadDecompressHandlers();
  const opened = await openFiles(path, decompressors);
  try {
    return new OpenBag(path, opened, decompressors.zstd!);
  } catch (error) {
    await Promise.all(opened.files.map((file) => file.close()));
    throw error;
  }
}

class OpenBag implements Bag {
  readonly #files: readonly BagFile[];
  readonly #topics: ReadonlyMap<string, FileTopic>;
  readonly #zstd: (bytes: Uint8Array, size: bigint) => Uint8Array;
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;
  readonly #damages: string[];
  readonly notes: string[];

  constructor(
    path: string,
    { files, damage, notes, types }: OpenFiles,
    zstd: (bytes: Uint8Array, size: bigint) => Uint8Array,
  ) {
    this.#files = files;
    this.#zstd = zstd;
    const merged = mergeTopics(files, path);
    const { topics: typed, added } = withTypes(merged, types);
    this.#topics = typed;
    for (const { startTime, endTime } of files) {
      if (startTime !== undefined && !(this.startTime! <= startTime)) this.startTime = startTime;
      if (endTime !== undefined && !(this.endTime! >= endTime)) this.endTime = endTime;
    }
    this.#damages = [damage, ...files.map((file) => file.damage)].filter((sentence) => sentence !== undefined);
    this.notes = [...notes, ...files.flatMap((file) => file.notes)];
    if (added.length > 0) {
      this.notes.push(`the files of ${path} have no type of ${added.sort().join(', ')}; that of metadata.yaml is used`);
    }
    const topics = [...this.#topics.values()];
    if (!topics.some(({ count }) => count > 0)) {
      throw new Pi05Error('BAG_FILE', this.damage ?? `Expected messages in ${path}, received a bag without any`, path);
    }
    const foreign = topics.find(({ encoding }) => encoding !== 'cdr');
    if (foreign !== undefined && topics.every(({ encoding }) => encoding !== 'cdr')) {
      throw new Pi05Error('BAG_FILE', `Expected messages in cdr in ${path}, received ${foreign.encoding}`, path);
    }
  }

  get topics(): ReadonlyMap<string, BagTopic> {
    return this.#topics;
  }

  get damage(): string | undefined {
    return this.#damages.length === 0 ? undefined : this.#damages.join('; ');
  }

  async *messages(topics: ReadonlySet<string>): AsyncGenerator<BagMessage, void, void> {
    for (const topic of topics) {
      const { encoding = 'cdr', conflict } = this.#topics.get(topic) ?? {};
      if (conflict !== undefined) throw new Pi05Error('BAG_DATA', conflict, topic);
      if (encoding !== 'cdr') {
        throw new Pi05Error('BAG_DATA', `Expected messages in cdr on ${topic}, received ${encoding}`, topic);
      }
    }
    let read = 0;
    try {
      const isOnly = this.#files.length === 1;
      const sources = this.#files.map((file) => ({
        startTime: file.startTime,
        messages: () => (isOnly ? file.messages(topics) : this.#readable(file.messages(topics))),
      }));
      for await (const message of mergeByTime(sources)) {
        const type = message.type === '' ? this.#topics.get(message.topic)!.type : message.type;
        yield { ...(isZstandard(message.data) ? this.#decompress(message) : message), type };
        read++;
      }
    } catch (error) {
      const reason = errorMessage(error);
      throw new Pi05Error('BAG_DATA', `${reason}, after ${read} messages were read`);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }

  /** The messages before the first damage of one of several files. */
  async *#readable(messages: AsyncGenerator<BagMessage, void, void>): AsyncGenerator<BagMessage, void, void> {
    try {
      yield* messages;
    } catch (error) {
      if (!(error instanceof Pi05Error) || error.code !== 'BAG_DATA') throw error;
      const damage = `${error.message}: the rest of that file is not read`;
      if (!this.#damages.includes(damage)) this.#damages.push(damage);
    }
  }

  /** For a message that was compressed by itself. CDR begins with 0, so it cannot be mistaken for Zstandard. */
  #decompress(message: BagMessage): BagMessage {
    try {
      return { ...message, data: decompressMessage(message.data, this.#zstd) };
    } catch (error) {
      const { topic, logTime } = message;
      const where = `the message of ${topic} at ${logTime} ns`;
      throw new Pi05Error('BAG_DATA', `Expected Zstandard data in ${where}: ${(error as Error).message}`, topic);
    }
  }
}

/** The topics of all files. */
function mergeTopics(files: readonly BagFile[], path: string): Map<string, FileTopic> {
  const topics = new Map<string, FileTopic>();
  for (const file of files) {
    for (const [topic, about] of file.topics) addTopic(topics, topic, about, path);
  }
  return topics;
}

/** The topics with the types of metadata.yaml where the files have none. @returns the names of those topics too. */
function withTypes(
  topics: ReadonlyMap<string, FileTopic>,
  types: TopicTypes,
): { topics: Map<string, FileTopic>; added: string[] } {
  const added: string[] = [];
  const typed = [...topics].map(([topic, about]): [string, FileTopic] => {
    const known = about.type === '' ? types.get(topic) : undefined;
    if (known === undefined) return [topic, about];
    added.push(topic);
    return [topic, { ...about, type: known.type, encoding: about.encoding === '' ? known.encoding : about.encoding }];
  });
  return { topics: new Map(typed), added };
}
