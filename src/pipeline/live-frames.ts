import type { CameraConfig, PolicyConfig } from '../config/config.js';
import { decodeCompressedFrame, decodeRawFrame, type SizeLimits } from '../decode/image.js';
import { LatestFrameDecoder } from '../decode/latest-frame-decoder.js';
import { withFingerprint, withFingerprintSync } from '../engine/fingerprint.js';
import type { Refusal } from '../errors.js';
import type { CameraFrame, CompressedImage, RawImage } from '../frame/frame.js';
import { stampOnArrival } from './arrival-stamp.js';
import type { Pipeline } from './pipeline.js';

interface LiveCamera {
  readonly config: CameraConfig;
  readonly decoder: LatestFrameDecoder;
}

export interface LiveFramesOptions {
  /** ROS time, ns. */
  readonly now: () => bigint;
  /**
   * Whether raw images are offered at once, as simulated time needs: a tick then uses what was published before it, however
   * busy the machine is. Their fingerprints are then computed on this thread.
   */
  readonly inOrder: boolean;
}

/**
 * The decode stage of a live node: offers camera messages to a pipeline as frames or refusals. In real time pixels are read
 * on other threads only: those that decode, and those that compute fingerprints.
 */
export class LiveFrames {
  readonly #pipeline: Pipeline;
  readonly #options: LiveFramesOptions;
  readonly #cameras: ReadonlyMap<string, LiveCamera>;

  /** @param config with resolved topics. */
  constructor(pipeline: Pipeline, config: PolicyConfig, options: LiveFramesOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
    this.#cameras = new Map(
      config.cameras.map((camera) => {
        const { name, topic } = camera;
        const decoder = new LatestFrameDecoder({
          decode: (image) => decodeFrame(image, topic, pipeline.imageLimits),
          keepAll: config.schedule.lockstep,
          generation: () => pipeline.generation,
          onDrop: () => pipeline.dropFrame(name),
          deliver: (frame) => pipeline.offerAnnouncedFrame(name, frame),
        });
        return [name, { config: camera, decoder }];
      }),
    );
  }

  /** @param received its data is kept, not copied. */
  offer(camera: string, received: RawImage | CompressedImage): void {
    const live = this.#cameras.get(camera);
    if (live === undefined) throw new RangeError(`No camera ${camera} is configured`);
    const { inOrder } = this.#options;
    const now = this.#options.now();
    const image = stampOnArrival(received, live.config, now);
    if (inOrder && !('format' in image)) {
      const decoded = decodeRawFrame(image, live.config.topic, this.#pipeline.imageLimits);
      this.#pipeline.offerFrame(camera, withFingerprintSync(decoded), now);
    } else if (this.#pipeline.announceFrame(camera, now)) live.decoder.offer(image);
  }
}

async function decodeFrame(
  image: RawImage | CompressedImage,
  topic: string,
  limits: SizeLimits,
): Promise<CameraFrame | Refusal> {
  const decoded =
    'format' in image ? await decodeCompressedFrame(image, topic, limits) : decodeRawFrame(image, topic, limits);
  return await withFingerprint(decoded);
}
