import type { Pi05Error, Refusal, RunCode } from '../errors.js';
import type { ActionChunk, Command, CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import type { JointCommand } from '../messages/outputs.js';
import type { ChunkTiming } from '../pipeline/pipeline.js';

/** Actions that the bag holds on one of the policy's output topics. */
export interface RecordedAction extends JointCommand {
  /** Bag time at which it was recorded, ns. */
  readonly time: bigint;
}

/** What happens in a replay, in order; `now` is the bag's time, ns. A listener must not throw and keeps no pixels. */
export interface ReplayListener {
  /** What follows happens when the bag had been recorded up to here, ns. */
  at?(logTime: bigint): void;
  /** A camera message as it came, before any check; `image` is valid during the call alone. */
  image?(camera: string, image: RawImage | CompressedImage, now: bigint): void;
  joints?(reading: JointReading, now: bigint): void;
  action?(action: RecordedAction, now: bigint): void;
  chunk?(chunk: ActionChunk, timing: ChunkTiming, now: bigint): void;
  command?(command: Command, now: bigint): void;
  refusal?(refusal: Refusal, now: bigint): void;
  fault?(fault: Pi05Error<RunCode>, now: bigint): void;
  /** What must be done before the replay goes on, such as writing; called after each event. */
  drain?(): Promise<void> | undefined;
}
