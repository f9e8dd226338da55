import type { Refusal } from '../errors.js';
import type { CameraFrame, CompressedImage, RawImage } from '../frame/frame.js';

export interface LatestFrameDecoderOptions {
  /** Must not reject. */
  readonly decode: (image: RawImage | CompressedImage) => Promise<CameraFrame | Refusal>;
  /** Whether no image may be dropped, as in lock-step; images then wait in their order. */
  readonly keepAll: boolean;
  /** Changes whenever the pipeline forgets its inputs. */
  readonly generation: () => number;
  /** Called for each image that is dropped for a newer one. */
  readonly onDrop: () => void;
  /** Receives every frame and refusal. Must not throw. */
  readonly deliver: (result: CameraFrame | Refusal) => void;
}

/**
 * Decodes one camera's images as they arrive. One decode is in flight at a time. Only the newest of the images that arrive
 * meanwhile waits for it, so a camera that is faster than its decoder loses images, but its latency does not grow.
 * Images of an earlier generation are dropped.
 */
export class LatestFrameDecoder {
  readonly #options: LatestFrameDecoderOptions;
  #decoding = false;
  /** At most one image, unless all are kept. */
  #waiting: { readonly image: RawImage | CompressedImage; readonly generation: number }[] = [];

  constructor(options: LatestFrameDecoderOptions) {
    this.#options = options;
  }

  /** @param image its data must not change until the image is decoded or dropped. */
  offer(image: RawImage | CompressedImage): void {
    const { keepAll, generation, onDrop } = this.#options;
    if (!keepAll && this.#waiting.length > 0) {
      this.#waiting = [];
      onDrop();
    }
    this.#waiting.push({ image, generation: generation() });
    if (!this.#decoding) void this.#decodeAll();
  }

  async #decodeAll(): Promise<void> {
    const { decode, generation, deliver } = this.#options;
    this.#decoding = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.generation !== generation()) continue;
      const result = await decode(next.image);
      if (next.generation === generation()) deliver(result);
    }
    this.#decoding = false;
  }
}
