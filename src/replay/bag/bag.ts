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
  /** Messages of these topics in the order of `logTime`. @throws Pi05Error BAG_DATA. */
  messages(topics: ReadonlySet<string>): AsyncIterable<BagMessage>;
  close(): Promise<void>;
}
