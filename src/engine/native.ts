import type { Pixels } from '../frame/frame.js';
import { addon, nativeError, type NativeSession } from './addon.js';
import type { Engine, InferRequest, InferResult, ModelInfo, RtcRequest, Tensor } from './engine.js';

export interface EngineOptions {
  /** Checkpoint directory. */
  readonly checkpoint: string;
  readonly backend: 'auto' | 'cpu' | 'cuda';
  /** Of the matrix products on a GPU, bf16 by default. fp8: only there, so that `auto` does not choose the CPU. */
  readonly precision?: 'bf16' | 'fp8';
  /** CPU inference threads; 0 = one per core. */
  readonly threads: number;
  /**
   * Whether the first inference with new image sizes prepares for all prompt lengths. On a GPU it captures a CUDA graph for
   * each length and takes longer; later inferences do not have to.
   */
  readonly prepare?: boolean;
  /** Whether `prepare` also prepares for requests with known steps (RTC, trained). */
  readonly knownSteps?: boolean;
  /** Whether CPU inference has the lowest priority, so that control ticks come first; true by default. */
  readonly lowPriority?: boolean;
}

/**
 * Loads a checkpoint without blocking the event loop.
 * @throws Pi05Error INVALID_ARGUMENT (threads, precision fp8 with backend cpu), CHECKPOINT_MISSING, CHECKPOINT_TENSORS (every problem with the tensors, one per line),
 * BACKEND_UNAVAILABLE, DRIVER_TOO_OLD, OUT_OF_MEMORY, DEVICE_LOST (in an earlier session of this process), ENVIRONMENT (the
 * addon is not built).
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { checkpoint, backend, precision = 'bf16', threads } = options;
  const { prepare = false, knownSteps = false, lowPriority = true } = options;
  const native = addon();
  try {
    const { session, info } = await native.open({ checkpoint, backend, precision, threads, lowPriority });
    return new NativeEngine(session, info, prepare, knownSteps);
  } catch (error) {
    throw nativeError(error, checkpoint);
  }
}

class NativeEngine implements Engine {
  readonly info: ModelInfo;
  #session: NativeSession;
  readonly #preparesAhead: boolean;
  readonly #knownSteps: boolean;
  /** The request shape that `prepare` was last called with. */
  #prepared: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(session: NativeSession, info: ModelInfo, prepare: boolean, knownSteps: boolean) {
    this.#session = session;
    this.info = Object.freeze(info);
    this.#preparesAhead = prepare;
    this.#knownSteps = knownSteps;
  }

  async infer(request: InferRequest): Promise<InferResult> {
    const actions = new Float32Array(this.info.horizon * this.info.actionDim);
    const requestShape = shapeOf(request);
    try {
      if (this.#preparesAhead && requestShape !== this.#prepared) {
        for (const variant of this.#variants(request)) await addon().prepare(this.#session, variant);
        this.#prepared = requestShape;
      }
      const { milliseconds, trace } = await addon().infer(this.#session, request, actions);
      const tensors = trace.map(({ name, shape, data }): [string, Tensor] => [name, { shape, data }]);
      return { actions, milliseconds, trace: new Map(tensors) };
    } catch (error) {
      throw nativeError(error);
    }
  }

  /** The kinds of requests that come with these images: each needs its own preparation. */
  #variants(request: InferRequest): InferRequest[] {
    if (!this.#knownSteps) return [request];
    const previous = new Float32Array(this.info.actionDim);
    const rtc: RtcRequest = { mode: 'trained', previous, previousRows: 1, delay: 1 };
    return [
      { ...request, rtc: { ...rtc, delay: 0 } },
      { ...request, rtc },
    ];
  }

  close(): Promise<void> {
    this.#closed ??= addon().close(this.#session);
    return this.#closed;
  }
}

/** The properties of a request that need a new preparation when they change. The prompt length does not. */
function shapeOf({ images, steps }: InferRequest): string {
  const sizes = images.map((image) => image && [image.width, image.height, image.step, image.encoding]);
  return JSON.stringify([sizes, steps]);
}

/**
 * Writes `model.safetensors` and `pi05_model.json` with random weights into an existing directory. The bytes depend only on
 * size and seed.
 * @throws Pi05Error INVALID_ARGUMENT, CHECKPOINT_MISSING where a file cannot be written.
 */
export async function writeRandomWeights(
  directory: string,
  size: 'tiny' | 'demo' | 'full',
  seed: bigint,
): Promise<void> {
  const native = addon();
  try {
    await native.makeCheckpoint(directory, size, seed);
  } catch (error) {
    throw nativeError(error, directory);
  }
}

/** The engine's resize with padding for openpi checkpoints: [size, size, 3] uint8. */
export function resizePillow(image: Pixels, size: number): Uint8Array {
  const out = new Uint8Array(size * size * 3);
  try {
    addon().resizePillow(image, size, out);
  } catch (error) {
    throw nativeError(error);
  }
  return out;
}

/** The engine's resize with padding for LeRobot checkpoints: [size, size, 3] float32, values 0…1, padding 0. */
export function resizeLerobot(image: Pixels, size: number): Float32Array {
  const out = new Float32Array(size * size * 3);
  try {
    addon().resizeLerobot(image, size, out);
  } catch (error) {
    throw nativeError(error);
  }
  return out;
}
