import { toNanoseconds, toSeconds } from '../time.js';
import type { Bag, BagMessage } from './bag/bag.js';
import { mergeByTime } from './bag/merge-by-time.js';
import type { ReplayInput, ReplayMessage } from './inputs.js';

/** Times that are added to the header stamps, ns by topic. */
export type StampOffsets = ReadonlyMap<string, bigint>;

/** Distances kept for each topic; of more messages, every second one is dropped again and again. */
const MAX_DISTANCES = 4096;
/** A stamp whose distance from the recording time differs by more from the one before counts only if the next agrees, ns. */
const MAX_STEP = 10_000_000_000n;

/** The header stamp of an image or a joint state, ns; undefined for other messages and for a stamp of 0. */
export function stampOf(message: ReplayMessage | undefined): bigint | undefined {
  let stamp: bigint | undefined;
  if (message?.kind === 'image' || message?.kind === 'compressed_image') stamp = message.image.stamp;
  else if (message?.kind === 'joint_state') stamp = message.reading.stamp;
  return stamp === 0n ? undefined : stamp;
}

/**
 * Whether a message was recorded at time 0, before the first `/clock` of a recorder in simulated time, in a bag that has other
 * times too.
 */
export function isUntimed({ logTime }: Pick<BagMessage, 'logTime'>, { endTime }: Pick<Bag, 'endTime'>): boolean {
  return logTime === 0n && endTime !== 0n;
}

/** The inputs with their offsets added to the stamps. A stamp of 0 stays 0: it means that there is none. */
export function withOffsets(
  inputs: ReadonlyMap<string, ReplayInput>,
  offsets: StampOffsets,
): ReadonlyMap<string, ReplayInput> {
  return new Map(
    [...inputs].map(([topic, input]) => {
      const offset = offsets.get(topic);
      return [topic, offset === undefined ? input : { ...input, decode: (cdr) => moved(input.decode(cdr), offset) }];
    }),
  );
}

function moved(message: ReplayMessage | undefined, offset: bigint): ReplayMessage | undefined {
  const stamp = stampOf(message);
  if (message === undefined || stamp === undefined) return message;
  const later = { stamp: stamp + offset };
  switch (message.kind) {
    case 'image':
      return { ...message, image: { ...message.image, ...later } };
    case 'compressed_image':
      return { ...message, image: { ...message.image, ...later } };
    case 'joint_state':
      return { ...message, reading: { ...message.reading, ...later } };
    default:
      return message;
  }
}

/** How far the header stamps of each topic are from the times of recording. */
export class StampDistances {
  readonly #topics = new Map<string, { readonly values: number[]; stride: number; seen: number }>();

  add(topic: string, distance: bigint): void {
    const known = this.#topics.get(topic) ?? { values: [], stride: 1, seen: 0 };
    this.#topics.set(topic, known);
    if (known.seen++ % known.stride !== 0) return;
    known.values.push(toSeconds(distance));
    if (known.values.length < MAX_DISTANCES) return;
    known.values.splice(0, known.values.length, ...known.values.filter((_, i) => i % 2 === 0));
    known.stride *= 2;
  }

  /** Medians by topic, s; negative where stamps are before the recording. */
  medians(): Map<string, number> {
    return new Map(
      [...this.#topics].map(([topic, { values }]) => {
        return [topic, [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!];
      }),
    );
  }
}

/**
 * The messages in the order of their header stamps, which replace the times of recording. Topics without stamps keep their distance
 * from the others: they are moved by as much as the stamps of most topics. Time never goes back within a topic. A message with a single
 * wrong stamp comes directly after the one before it.
 * @param inputs the topics to read.
 */
export async function* messagesByStamp(
  bag: Bag,
  inputs: ReadonlyMap<string, ReplayInput>,
  distances: StampDistances,
): AsyncGenerator<BagMessage, void, void> {
  const firsts: bigint[] = [];
  for (const input of inputs.values()) {
    const first = await firstDistance(bag, input);
    if (first !== undefined) firsts.push(first);
  }
  firsts.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const common = firsts[Math.floor((firsts.length - 1) / 2)] ?? 0n;
  yield* mergeByTime(
    [...inputs.values()].map((input) => ({
      startTime: undefined,
      messages: () => restamped(bag, input, common, distances),
    })),
  );
}

async function firstDistance(bag: Bag, input: ReplayInput): Promise<bigint | undefined> {
  for await (const message of bag.messages(new Set([input.topic]))) {
    const stamp = isUntimed(message, bag) ? undefined : stampOf(decoded(input, message.data));
    if (stamp !== undefined) return stamp - message.logTime;
  }
  return undefined;
}

async function* restamped(
  bag: Bag,
  input: ReplayInput,
  common: bigint,
  distances: StampDistances,
): AsyncGenerator<BagMessage, void, void> {
  let distance = common;
  let candidate: bigint | undefined;
  let isFirst = true;
  let last: bigint | undefined;
  for await (const message of bag.messages(new Set([input.topic]))) {
    if (isUntimed(message, bag)) {
      yield message;
      continue;
    }
    const stamp = stampOf(decoded(input, message.data));
    let time = message.logTime + distance;
    if (stamp !== undefined) {
      const received = stamp - message.logTime;
      distances.add(input.topic, received);
      if (isFirst || isClose(received, distance) || (candidate !== undefined && isClose(received, candidate))) {
        distance = received;
        candidate = undefined;
        isFirst = false;
        time = stamp;
      } else {
        candidate = received;
        time = last ?? time;
      }
    }
    if (last !== undefined && time < last) time = last;
    last = time;
    yield { ...message, logTime: time };
  }
}

function isClose(a: bigint, b: bigint): boolean {
  return a - b <= MAX_STEP && b - a <= MAX_STEP;
}

/** Undefined for a message that the replay refuses later. */
function decoded(input: ReplayInput, data: Uint8Array): ReplayMessage | undefined {
  try {
    return input.decode(data);
  } catch {
    return undefined;
  }
}

/** What the stamps of a topic may differ by, ns. */
export interface StampLimit {
  readonly topic: string;
  readonly maxAge: bigint;
}

/**
 * One sentence for each topic whose stamps are too far from the times of recording or, in a replay without chunks, from the stamps
 * of the other topics, with the options that help.
 * @param maxSkew ns. @param byStamps whether the replay goes by the stamps.
 */
export function stampNotes(
  distances: StampDistances,
  limits: readonly StampLimit[],
  maxSkew: bigint,
  byStamps: boolean,
  hasChunks: boolean,
): string[] {
  const medians = distances.medians();
  const sorted = [...medians.values()].sort((a, b) => (byStamps ? a - b : Math.abs(a) - Math.abs(b)));
  const reference = sorted[byStamps ? Math.floor((sorted.length - 1) / 2) : 0] ?? 0;
  return limits.flatMap(({ topic, maxAge }) => {
    const median = medians.get(topic);
    if (median === undefined) return [];
    if (!byStamps && Math.abs(median) > toSeconds(maxAge)) {
      return `${apart(topic, median, 'the time of recording')}, or --by-stamps replays by the stamps`;
    }
    const isSkewed = !hasChunks && Math.abs(median - reference) > toSeconds(maxSkew);
    return isSkewed ? apart(topic, median - reference, 'those of the other topics') : [];
  });
}

function apart(topic: string, distance: number, from: string): string {
  const side = distance < 0 ? 'before' : 'after';
  const option = `--stamp-offset ${topic}:=${(-distance).toFixed(3)}`;
  return `the stamps of ${topic} are ${Math.abs(distance).toFixed(3)} s ${side} ${from} (median): ${option} moves them`;
}

/** `TOPIC:=SECONDS`. @returns undefined where the text is not that. */
export function parseOffset(text: string): { readonly topic: string; readonly offset: bigint } | undefined {
  const [, topic, seconds] = /^(\S+?):=(\S+)$/.exec(text) ?? [];
  const number = Number(seconds);
  if (topic === undefined || !Number.isFinite(number)) return undefined;
  return { topic, offset: toNanoseconds(number) };
}
