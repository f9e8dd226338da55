import type { Refusal } from '../errors.js';
import type { CameraFrame, CompressedImage } from '../frame/frame.js';

export interface LatestFrameDecoderOptions {
  /** Must not reject. */
  readonly decode: (image: CompressedImage) => Promise<CameraFrame | Refusal>;
  /** Changes whenever the pipeline forgets its inputs. */
  readonly generation: () => number;
  /** Receives every frame and refusal. Must not throw. */
  readonly deliver: (result: CameraFrame | Refusal) => void;
}

/**
 * Decodes one camera's compressed images as they arrive. One decode is in flight at a time. Only the newest of the
 * images that arrive meanwhile waits for it, so a camera that is faster than its decoder loses images, but its latency does
 * not grow.
 * Images of an earlier generation are dropped.
 */
export class LatestFrameDecoder {
  readonly #options: LatestFrameDecoderOptions;
  #decoding = false;
  #next: { readonly image: CompressedImage; readonly generation: number } | undefined;

  constructor(options: LatestFrameDecoderOptions) {
    this.#options = options;
  }

  /** @param image its data must not change until the image is decoded or dropped. */
  offer(image: CompressedImage): void {
    this.#next = { image, generation: this.#options.generation() };
    if (!this.#decoding) void this.#decodeAll();
  }

  async #decodeAll(): Promise<void> {
    const { decode, generation, deliver } = this.#options;
    this.#decoding = true;
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#next = undefined;
      if (next.generation !== generation()) continue;
      const result = await decode(next.image);
      if (next.generation === generation()) deliver(result);
    }
    this.#decoding = false;
  }
}
