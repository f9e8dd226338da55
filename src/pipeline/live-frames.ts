import type { PolicyConfig } from '../config/config.js';
import { decodeCompressedFrame, decodeRawFrame } from '../decode/image.js';
import { LatestFrameDecoder } from '../decode/latest-frame-decoder.js';
import type { CompressedImage, RawImage } from '../frame/frame.js';
import type { Pipeline } from './pipeline.js';

interface LiveCamera {
  readonly topic: string;
  readonly decoder: LatestFrameDecoder;
}

/**
 * The decode stage of a live node: offers camera messages to a pipeline as frames or refusals. Raw images are offered at
 * once, compressed ones when they are decoded.
 */
export class LiveFrames {
  readonly #pipeline: Pipeline;
  readonly #now: () => bigint;
  readonly #cameras: ReadonlyMap<string, LiveCamera>;

  /** @param config with resolved topics. @param now ROS time, ns. */
  constructor(pipeline: Pipeline, config: PolicyConfig, now: () => bigint) {
    this.#pipeline = pipeline;
    this.#now = now;
    this.#cameras = new Map(
      config.cameras.map(({ name, topic }) => {
        const decoder = new LatestFrameDecoder({
          decode: (image) => decodeCompressedFrame(image, topic, pipeline.imageLimits),
          generation: () => pipeline.generation,
          deliver: (frame) => pipeline.offerAnnouncedFrame(name, frame),
        });
        return [name, { topic, decoder }];
      }),
    );
  }

  /** @param image its data is kept, not copied. */
  offer(camera: string, image: RawImage | CompressedImage): void {
    const live = this.#cameras.get(camera);
    if (live === undefined) throw new RangeError(`No camera ${camera} is configured`);
    if ('format' in image) {
      if (this.#pipeline.announceFrame(camera, this.#now())) live.decoder.offer(image);
    } else {
      this.#pipeline.offerFrame(camera, decodeRawFrame(image, live.topic, this.#pipeline.imageLimits), this.#now());
    }
  }
}
