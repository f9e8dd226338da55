import { decodeClock, decodeCompressedImage, decodeImage, decodeJointState, decodeString } from '../messages/decode.js';
import type { PolicyConfig } from '../config/config.js';
import { Refusal } from '../errors.js';
import type { CameraFrame, CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import { decodeCompressed } from '../observation/image.js';
import type { BagMessage } from './bag/bag.js';
import { decodeAction, type Action } from './actions.js';
import type { Input } from './inputs.js';
import type { PixelBuffers } from './pixels.js';

/** One message of the bag, decoded; its data stays as it is, an image's as `PixelBuffers` says. */
export type ReplayEvent = {
  /** When it was recorded, ns. */
  readonly logTime: bigint;
} & (
  | { readonly kind: 'image'; readonly camera: string; readonly image: RawImage }
  | {
      readonly kind: 'compressed';
      readonly camera: string;
      readonly image: CompressedImage;
      readonly decoded: Promise<CameraFrame>;
    }
  | { readonly kind: 'joints'; readonly reading: JointReading }
  | { readonly kind: 'prompt'; readonly text: string }
  | { readonly kind: 'clock'; readonly time: bigint }
  | { readonly kind: 'action'; readonly action: Action }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
);

/** Compressed images that are decoded at a time, ahead of their turn; libuv has four threads for it. */
const DECODES_AHEAD = 4;
/** Messages that wait between them. */
const MESSAGES_AHEAD = 64;

/**
 * The bag's messages in their order. Where there are compressed images the bag is read a little ahead, so that several
 * are decoded at a time; what waits is bounded.
 */
export async function* replayEvents(
  messages: AsyncIterable<BagMessage>,
  inputs: ReadonlyMap<string, Input>,
  config: PolicyConfig,
  pixels: PixelBuffers,
): AsyncGenerator<ReplayEvent, void, void> {
  const ahead = [...inputs.values()].some(({ kind }) => kind === 'compressed');
  const waiting: ReplayEvent[] = [];
  let decodes = 0;
  for await (const message of messages) {
    const event = decode(message, inputs, config, pixels);
    if (event === undefined) continue;
    if (!ahead) {
      yield event;
      continue;
    }
    waiting.push(event);
    if (event.kind === 'compressed') decodes++;
    while (decodes > DECODES_AHEAD || waiting.length > MESSAGES_AHEAD) {
      const next = waiting.shift()!;
      if (next.kind === 'compressed') decodes--;
      yield next;
    }
  }
  yield* waiting;
}

/** Undefined for an action that cannot be read: the policy has no use for it. */
function decode(
  { topic, data, logTime }: BagMessage,
  inputs: ReadonlyMap<string, Input>,
  config: PolicyConfig,
  pixels: PixelBuffers,
): ReplayEvent | undefined {
  const input = inputs.get(topic);
  if (input === undefined) return undefined;
  try {
    switch (input.kind) {
      case 'image': {
        const image = decodeImage(data, topic);
        const own = { ...image, data: pixels.copy(image.data) };
        return { logTime, kind: 'image', camera: input.camera.name, image: own };
      }
      case 'compressed': {
        const lent = decodeCompressedImage(data, topic);
        const image = { ...lent, data: lent.data.slice() };
        const decoded = decodeCompressed(image, topic, config.image);
        // A refusal is reported at its turn.
        decoded.catch(() => {});
        return { logTime, kind: 'compressed', camera: input.camera.name, image, decoded };
      }
      case 'joints':
        return { logTime, kind: 'joints', reading: ownedReading(decodeJointState(data, topic)) };
      case 'prompt':
        return { logTime, kind: 'prompt', text: decodeString(data, topic) };
      case 'clock':
        return { logTime, kind: 'clock', time: decodeClock(data, topic) };
      case 'action': {
        const action = decodeAction(data, topic, input.output);
        return action && { logTime, kind: 'action', action };
      }
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return input.kind === 'action' ? undefined : { logTime, kind: 'refused', refusal: error };
  }
}

/** The bag's bytes are only lent until the next message, and decoded arrays may be views on them. */
function ownedReading({ position, velocity, effort, ...rest }: JointReading): JointReading {
  return { ...rest, position: position.slice(), velocity: velocity.slice(), effort: effort.slice() };
}
