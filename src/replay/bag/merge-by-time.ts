import type { BagMessage } from './storage.js';

/** Messages in the order of their log times: one chunk of a file or one file of a bag. */
export interface Source {
  /** A lower bound of the messages' log times, ns; undefined where it is not known. */
  readonly startTime: bigint | undefined;
  messages(): AsyncGenerator<BagMessage, void, void>;
}

interface Head {
  readonly messages: AsyncGenerator<BagMessage, void, void>;
  readonly rank: number;
  message: BagMessage;
}

/**
 * Merges sources by log time; messages of equal times come in the order of `sources`. A source is opened when its first
 * message may be next, so memory is bounded by the sources that overlap in time. A message is valid until the next one is read.
 */
export async function* mergeByTime(sources: readonly Source[]): AsyncGenerator<BagMessage, void, void> {
  const waiting = sources
    .map((source, rank) => ({ source, rank, startTime: source.startTime ?? -1n }))
    .sort((a, b) => (a.startTime === b.startTime ? a.rank - b.rank : a.startTime < b.startTime ? -1 : 1));
  const heads: Head[] = [];
  let next = 0;
  try {
    for (;;) {
      let first = earliest(heads);
      while (next < waiting.length && (first === undefined || waiting[next]!.startTime <= first.message.logTime)) {
        const { source, rank } = waiting[next++]!;
        const messages = source.messages();
        const step = await messages.next();
        if (step.done !== true) heads.push({ messages, rank, message: step.value });
        first = earliest(heads);
      }
      if (first === undefined) return;
      yield first.message;
      const step = await first.messages.next();
      if (step.done === true) heads.splice(heads.indexOf(first), 1);
      else first.message = step.value;
    }
  } finally {
    await Promise.all(heads.map(({ messages }) => messages.return()));
  }
}

/** A linear search: few sources are open at a time. */
function earliest(heads: readonly Head[]): Head | undefined {
  let first: Head | undefined;
  for (const head of heads) {
    if (
      first === undefined ||
      head.message.logTime < first.message.logTime ||
      (head.message.logTime === first.message.logTime && head.rank < first.rank)
    ) {
      first = head;
    }
  }
  return first;
}
