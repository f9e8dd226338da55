import { Pi05Error } from '../errors.js';
import type { Pixels } from '../frame/frame.js';
import { addon, nativeError, type NativeSession } from './addon.js';
import { checkPixels, checkRequest } from './checks.js';
import type { Engine, InferRequest, InferResult, ModelInfo, Tensor } from './engine.js';

export interface EngineOptions {
  /** Checkpoint directory. */
  readonly checkpoint: string;
  readonly backend: 'auto' | 'cpu' | 'cuda';
  /** CPU inference threads; 0 = one per core. */
  readonly threads: number;
  /**
   * Whether the first inference with images of new sizes gets ready for every prompt length: it takes longer on a GPU then
   * (an inference of each length is recorded), and no later one does.
   */
  readonly prepare?: boolean;
  /** Whether CPU inference gives way to everything else, as beside control ticks; by default it does. */
  readonly lowPriority?: boolean;
}

/**
 * Loads a checkpoint without blocking the event loop. Rejects with CHECKPOINT_MISSING, CHECKPOINT_TENSORS (everything
 * wrong with its tensors, a line each), BACKEND_UNAVAILABLE, DRIVER_TOO_OLD, OUT_OF_MEMORY, DEVICE_LOST (by an earlier
 * session of this process), or ENVIRONMENT where the addon is not built.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { checkpoint, backend, threads, prepare = false, lowPriority = true } = options;
  if (!Number.isSafeInteger(threads) || threads < 0 || threads > 1024) {
    throw new Pi05Error('INVALID_ARGUMENT', `Expected 0 to 1024 threads, received ${threads}`, 'threads');
  }
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
  readonly #prepare: boolean;
  /** What it is ready for. */
  #prepared: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(session: NativeSession, info: ModelInfo, prepare: boolean) {
    this.#session = session;
    this.info = Object.freeze(info);
    this.#prepare = prepare;
  }

  async infer(request: InferRequest): Promise<InferResult> {
    checkRequest(request, this.info);
    const actions = new Float32Array(this.info.horizon * this.info.actionDim);
    const shape = shapeOf(request);
    try {
      if (this.#prepare && shape !== this.#prepared) {
        await addon().prepare(this.#session, request);
        this.#prepared = shape;
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

/** What an inference depends on beyond its data and the prompt's length. */
function shapeOf({ images, steps, rtc }: InferRequest): string {
  const sizes = images.map((image) => image && [image.width, image.height, image.step, image.encoding]);
  return JSON.stringify([sizes, steps, rtc?.mode === 'trained' && rtc.delay > 0]);
}

/**
 * Writes `model.safetensors` and `pi05_model.json` with random weights into an existing directory; same size and seed,
 * same bytes. Rejects with INVALID_ARGUMENT or ENGINE_FAILED.
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

/** openpi's resize with padding, as the engine does it: [size, size, 3] uint8. */
export function resizePillow(image: Pixels, size: number): Uint8Array {
  checkPixels(image, 'the image');
  const out = new Uint8Array(size * size * 3);
  try {
    addon().resizePillow(image, size, out);
  } catch (error) {
    throw nativeError(error);
  }
  return out;
}

/** LeRobot's resize with padding, as the engine does it: [size, size, 3] 0…1, padding 0. */
export function resizeLerobot(image: Pixels, size: number): Float32Array {
  checkPixels(image, 'the image');
  const out = new Float32Array(size * size * 3);
  try {
    addon().resizeLerobot(image, size, out);
  } catch (error) {
    throw nativeError(error);
  }
  return out;
}
