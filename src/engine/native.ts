import type { Pixels } from '../frame/frame.js';
import { addon, nativeError, type NativeSession } from './addon.js';
import type { Engine, InferRequest, InferResult, ModelInfo, Tensor } from './engine.js';

export interface EngineOptions {
  /** Checkpoint directory. */
  readonly checkpoint: string;
  readonly backend: 'auto' | 'cpu' | 'cuda';
  /** CPU inference threads; 0 = one per core. */
  readonly threads: number;
  /**
   * Whether the first inference with new image sizes prepares for all prompt lengths. On a GPU it captures a CUDA graph for
   * each length and takes longer; later inferences do not have to.
   */
  readonly prepare?: boolean;
  /** Whether CPU inference has the lowest priority, so that control ticks come first; true by default. */
  readonly lowPriority?: boolean;
}

/**
 * Loads a checkpoint without blocking the event loop.
 * @throws Pi05Error INVALID_ARGUMENT (threads), CHECKPOINT_MISSING, CHECKPOINT_TENSORS (every problem with the tensors, one per line),
 * BACKEND_UNAVAILABLE, DRIVER_TOO_OLD, OUT_OF_MEMORY, DEVICE_LOST (in an earlier session of this process), ENVIRONMENT (the
 * addon is not built).
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { checkpoint, backend, threads, prepare = false, lowPriority = true } = options;
  const native = addon();
  try {
    const { session, info } = await native.open({ checkpoint, backend, threads, lowPriority });
    return new NativeEngine(session, info, prepare);
  } catch (error) {
    throw nativeError(error, checkpoint);
  }
}

class NativeEngine implements Engine {
  readonly info: ModelInfo;
  #session: NativeSession;
  readonly #preparesAhead: boolean;
  /** The request shape that `prepare` was last called with. */
  #prepared: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(session: NativeSession, info: ModelInfo, prepare: boolean) {
    this.#session = session;
    this.info = Object.freeze(info);
    this.#preparesAhead = prepare;
  }

  async infer(request: InferRequest): Promise<InferResult> {
    const actions = new Float32Array(this.info.horizon * this.info.actionDim);
    const requestShape = shapeOf(request);
    try {
      if (this.#preparesAhead && requestShape !== this.#prepared) {
        await addon().prepare(this.#session, request);
        this.#prepared = requestShape;
      }
      const { milliseconds, trace } = await addon().infer(this.#session, request, actions);
      const tensors = trace.map(({ name, shape, data }): [string, Tensor] => [name, { shape, data }]);
      return { actions, milliseconds, trace: new Map(tensors) };
    } catch (error) {
      throw nativeError(error);
    }
  }

  close(): Promise<void> {
    this.#closed ??= addon().close(this.#session);
    return this.#closed;
  }
}

/** The properties of a request that need a new preparation when they change. The prompt length does not. */
function shapeOf({ images, steps, rtc }: InferRequest): string {
  const sizes = images.map((image) => image && [image.width, image.height, image.step, image.encoding]);
  return JSON.stringify([sizes, steps, rtc?.mode === 'trained' && rtc.delay > 0]);
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
