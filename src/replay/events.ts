import type { PolicyConfig } from '../config/config.js';
import { Refusal } from '../errors.js';
import type { JointCommand } from '../messages/outputs.js';
import type { CameraFrame, CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import { decodeCompressed } from '../observation/image.js';
import type { BagMessage } from './bag/bag.js';
import type { ReplayInput } from './inputs.js';
import type { PixelBuffers } from './pixels.js';

/** One message of the bag, decoded; its data stays as it is, an image's as `PixelBuffers` says. */
export type ReplayEvent = {
  /** When it was recorded, ns. */
  readonly logTime: bigint;
} & (
  | { readonly kind: 'image'; readonly camera: string; readonly image: RawImage }
  | {
      readonly kind: 'compressed_image';
      readonly camera: string;
      readonly image: CompressedImage;
      readonly decoded: Promise<CameraFrame>;
    }
  | { readonly kind: 'joint_state'; readonly reading: JointReading }
  | { readonly kind: 'prompt'; readonly text: string }
  | { readonly kind: 'clock'; readonly time: bigint }
  | { readonly kind: 'action'; readonly action: JointCommand }
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
  inputs: ReadonlyMap<string, ReplayInput>,
  config: PolicyConfig,
  pixels: PixelBuffers,
): AsyncGenerator<ReplayEvent, void, void> {
  const ahead = [...inputs.values()].some(({ kind }) => kind === 'compressed_image');
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
    if (event.kind === 'compressed_image') decodes++;
    while (decodes > DECODES_AHEAD || waiting.length > MESSAGES_AHEAD) {
      const next = waiting.shift()!;
      if (next.kind === 'compressed_image') decodes--;
      yield next;
    }
  }
  yield* waiting;
}

/** Undefined for an action that cannot be read: the policy has no use for it. */
function decode(
  { topic, data, logTime }: BagMessage,
  inputs: ReadonlyMap<string, ReplayInput>,
  config: PolicyConfig,
  pixels: PixelBuffers,
): ReplayEvent | undefined {
  const input = inputs.get(topic);
  if (input === undefined) return undefined;
  try {
    const message = input.decode(data);
    if (message === undefined) return undefined;
    switch (message.kind) {
      case 'image': {
        const { image } = message;
        return { ...message, logTime, image: { ...image, data: pixels.copy(image.data) } };
      }
      case 'compressed_image': {
        const image = { ...message.image, data: message.image.data.slice() };
        const decoded = decodeCompressed(image, topic, config.image);
        // A refusal is reported at its turn.
        decoded.catch(() => {});
        return { ...message, logTime, image, decoded };
      }
      case 'joint_state':
        return { ...message, logTime, reading: ownedReading(message.reading) };
      default:
        return { ...message, logTime };
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
