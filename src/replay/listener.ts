import type { Pi05Error, Refusal, FaultCode } from '../errors.js';
import type { ActionChunk, Command, CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import type { JointCommand } from '../messages/outputs.js';
import type { ChunkTiming } from '../pipeline/interfaces.js';
import type { Seam } from '../schedule/seam.js';

/** An action recorded on one of the policy's output topics. */
export interface RecordedAction extends JointCommand {
  /** Bag time at which it was recorded, ns. */
  readonly time: bigint;
}

/** Receives the events of a replay in order; `now` is bag time, ns. A listener must not throw and must not keep pixels. */
export interface ReplayListener {
  /** The time of recording that the following events belong to, ns. */
  setLogTime?(logTime: bigint): void;
  /** A camera message as recorded, before any check; `image` is valid only during the call. */
  image?(camera: string, image: RawImage | CompressedImage, now: bigint): void;
  joints?(reading: JointReading, now: bigint): void;
  action?(action: RecordedAction, now: bigint): void;
  chunk?(chunk: ActionChunk, timing: ChunkTiming, now: bigint): void;
  command?(command: Command, now: bigint): void;
  seam?(seam: Seam, now: bigint): void;
  refusal?(refusal: Refusal, now: bigint): void;
  fault?(fault: Pi05Error<FaultCode>, now: bigint): void;
  /** Work to finish before the replay continues, such as writing; called after each event. */
  drain?(): Promise<void> | undefined;
}
