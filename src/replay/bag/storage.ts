import type { BagMessage } from './bag.js';

/** A topic as one file of a bag has it. */
export interface FileTopic {
  readonly type: string;
  /** How its messages are serialised: `cdr` in bags of ROS 2. */
  readonly encoding: string;
  readonly count: number;
}

/** One file of a bag, in either storage format. */
export interface BagFile {
  readonly topics: ReadonlyMap<string, FileTopic>;
  readonly startTime: bigint | undefined;
  readonly endTime: bigint | undefined;
  /** Why only part of it could be read; known at the latest when its messages have been read. */
  readonly damage: string | undefined;
  /** What is unusual about it although all of it can be read. */
  readonly notes: readonly string[];
  /** In the order of their log times. @throws Pi05Error BAG_DATA. */
  messages(topics: ReadonlySet<string>): AsyncGenerator<BagMessage, void, void>;
  close(): Promise<void>;
}
