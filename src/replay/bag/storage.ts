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
  /** One sentence where the topic has messages of several types, which cannot be read. */
  readonly conflict?: string;
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

/**
 * Adds a topic, or adds to its number of messages. Different types are a conflict, which is an error only where the topic is
 * read. An empty type is not known.
 * @param path of the bag.
 */
export function addTopic(topics: Map<string, FileTopic>, topic: string, added: FileTopic, path: string): void {
  const known = topics.get(topic);
  if (known === undefined) {
    topics.set(topic, added);
    return;
  }
  const count = known.count + added.count;
  const [first, second] = [known, added].filter(({ type }) => type !== '');
  const isSame = first?.type === second?.type && first?.encoding === second?.encoding;
  const conflict =
    known.conflict ??
    added.conflict ??
    (first === undefined || second === undefined || isSame
      ? undefined
      : `Expected messages of one type on ${topic} in ${path}, received ${named(first)} and ${named(second)}`);
  topics.set(topic, { ...(first ?? known), count, ...(conflict === undefined ? {} : { conflict }) });
}

function named({ type, encoding }: FileTopic): string {
  return `${type} (${encoding})`;
}

/** A file of a split bag that cannot be read. It has no messages. */
export class UnreadableFile implements BagFile {
  readonly topics: ReadonlyMap<string, FileTopic> = new Map();
  readonly startTime = undefined;
  readonly endTime = undefined;
  readonly notes: readonly string[] = [];

  /** @param damage one sentence. */
  constructor(readonly damage: string) {}

  async *messages(): AsyncGenerator<BagMessage, void, void> {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}
