import { decodeCompressedFrame, decodeRawFrame, type SizeLimits } from '../decode/image.js';
import { prefetch } from '../decode/prefetch.js';
import { withFingerprint } from '../engine/fingerprint.js';
import { Refusal } from '../errors.js';
import type { CameraFrame, CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import type { JointCommand } from '../messages/outputs.js';
import type { BagMessage } from './bag/bag.js';
import type { ReplayInput } from './inputs.js';
import type { PixelBufferPool } from './pixel-buffer-pool.js';

/** One message of the bag, decoded. It owns its data, except for pixels in a buffer of the pool. */
export type ReplayEvent = {
  /** When the message was recorded, ns. */
  readonly logTime: bigint;
} & (
  | {
      readonly kind: 'frame';
      readonly topic: string;
      readonly camera: string;
      /** As recorded. */
      readonly image: RawImage | CompressedImage;
      readonly frame: CameraFrame | Refusal;
      /** A buffer of the pool, to be released after the event. */
      readonly borrowed?: Uint8Array;
    }
  | { readonly kind: 'joint_state'; readonly topic: string; readonly reading: JointReading }
  | { readonly kind: 'prompt'; readonly text: string }
  | { readonly kind: 'clock'; readonly time: bigint }
  | { readonly kind: 'action'; readonly action: JointCommand }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
);

/** The bag's messages in their order. Images are decoded ahead, several at a time. */
export async function* replayEvents(
  messages: AsyncIterable<BagMessage>,
  inputs: ReadonlyMap<string, ReplayInput>,
  limits: SizeLimits,
  pool: PixelBufferPool,
): AsyncGenerator<ReplayEvent, void, void> {
  for await (const event of prefetch(messages, (message) => decodeMessage(message, inputs, limits, pool))) {
    if (event !== undefined) yield event;
  }
}

/** Undefined for messages that the replay ignores: those of other topics, and recorded actions that cannot be read. */
function decodeMessage(
  { topic, data, logTime }: BagMessage,
  inputs: ReadonlyMap<string, ReplayInput>,
  limits: SizeLimits,
  pool: PixelBufferPool,
): ReplayEvent | undefined | Promise<ReplayEvent> {
  const input = inputs.get(topic);
  if (input === undefined) return undefined;
  try {
    const message = input.decode(data);
    if (message === undefined) return undefined;
    switch (message.kind) {
      case 'image': {
        const image = { ...message.image, data: pool.borrowCopy(message.image.data) };
        const { camera } = message;
        return withFingerprint(decodeRawFrame(image, topic, limits)).then((frame) => {
          return { logTime, kind: 'frame', topic, camera, image, frame, borrowed: image.data };
        });
      }
      case 'compressed_image': {
        const { camera } = message;
        const image = { ...message.image, data: message.image.data.slice() };
        return decodeCompressedFrame(image, topic, limits)
          .then(withFingerprint)
          .then((frame) => {
            return { logTime, kind: 'frame', topic, camera, image, frame };
          });
      }
      case 'joint_state':
        return { ...message, logTime, reading: copyReading(message.reading) };
      default:
        return { ...message, logTime };
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return input.kind === 'action' ? undefined : { logTime, kind: 'refusal', refusal: error };
  }
}

/** The decoded arrays may be views on the bag's bytes, which are valid until the next message is read. */
function copyReading({ position, velocity, effort, ...rest }: JointReading): JointReading {
  return { ...rest, position: position.slice(), velocity: velocity.slice(), effort: effort.slice() };
}
