import { Pi05Error } from '../../errors.js';

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

/** A topic in one file of a bag. */
export interface FileTopic {
  readonly type: string;
  /** Serialisation of its messages: `cdr` in ROS 2. */
  readonly encoding: string;
  readonly count: number;
}

/** One file of a bag, in either storage format. */
export interface BagFile {
  readonly topics: ReadonlyMap<string, FileTopic>;
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;
  /** Why only part of it is readable; final once its messages have been read. */
  readonly damage: string | undefined;
  /** One sentence each about what is unusual but does no harm. */
  readonly notes: readonly string[];
  /** In the order of their log times. @throws Pi05Error BAG_DATA. */
  messages(topics: ReadonlySet<string>): AsyncGenerator<BagMessage, void, void>;
  close(): Promise<void>;
}

/** Adds a topic, or adds to its number of messages. @param path of the bag. @throws Pi05Error BAG_DATA where the types differ. */
export function addTopic(topics: Map<string, FileTopic>, topic: string, added: FileTopic, path: string): void {
  const { type, encoding, count } = added;
  const known = topics.get(topic);
  if (known !== undefined && (known.type !== type || known.encoding !== encoding)) {
    const types = `${known.type} (${known.encoding}) and ${type} (${encoding})`;
    throw new Pi05Error('BAG_DATA', `Expected messages of one type on ${topic} in ${path}, received ${types}`, topic);
  }
  topics.set(topic, { type, encoding, count: (known?.count ?? 0) + count });
}
