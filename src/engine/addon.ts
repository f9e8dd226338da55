import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { LOAD_CODES, Pi05Error, RUN_CODES, USAGE_CODES, type ErrorCode } from '../errors.js';
import type { Pixels } from '../frame/frame.js';
import { packageRoot, setupCommand } from '../package-root.js';
import type { CheckpointDescription, InferRequest, ModelInfo } from './engine.js';

/** The surface of `native/addon`. Every promise rejects, and every call throws, an Error with a status name as `code`. */
export interface Addon {
  limits(): EngineLimits;
  open(options: {
    readonly checkpoint: string;
    readonly backend: 'auto' | 'cpu' | 'cuda';
    readonly threads: number;
    readonly lowPriority: boolean;
  }): Promise<{ session: NativeSession; info: ModelInfo }>;
  /** Fills `actions`; it and every array of the request are borrowed until the promise settles. */
  infer(session: NativeSession, request: InferRequest, actions: Float32Array): Promise<NativeResult>;
  /** Gets ready for requests of such images, steps and chunking; the request's arrays are borrowed likewise. */
  prepare(session: NativeSession, request: InferRequest): Promise<void>;
  /** Frees the session after what was asked of it before. */
  close(session: NativeSession): Promise<void>;
  /** Reads headers only. */
  inspect(directory: string): Promise<CheckpointDescription>;
  makeCheckpoint(directory: string, size: 'tiny' | 'demo' | 'full', seed: bigint): Promise<void>;
  /** out: [size, size, 3] */
  resizePillow(image: Pixels, size: number, out: Uint8Array): void;
  /** out: [size, size, 3] 0…1, padding 0 */
  resizeLerobot(image: Pixels, size: number, out: Float32Array): void;
}

/** Limits of the engine, the same for every checkpoint. */
export interface EngineLimits {
  /** Largest number of flow steps of a request. */
  readonly maxFlowSteps: number;
  /** Largest width and height of an image, in pixels. `ModelInfo.imageSize` limits its aspect ratio. */
  readonly maxImageSide: number;
  /** Largest number of CPU threads. */
  readonly maxThreads: number;
}

/** Opaque. */
export type NativeSession = { readonly pi05Session: unique symbol };

export interface NativeResult {
  readonly milliseconds: number;
  readonly trace: readonly { readonly name: string; readonly shape: number[]; readonly data: Float32Array }[];
}

let loaded: Addon | undefined;

/** The addon, loaded on first use. Throws ENVIRONMENT with the remedy where it is missing or does not load. */
export function addon(): Addon {
  loaded ??= load(join(packageRoot, 'build', 'native', 'Release', 'pi05.node'));
  return loaded;
}

function load(path: string): Addon {
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    const received = existsSync(path) ? `one that does not load (${reason})` : 'none';
    throw new Pi05Error(
      'ENVIRONMENT',
      `Expected the native engine at ${path}, received ${received}: run \`${setupCommand}\`, which builds it`,
      path,
    );
  }
}

const CODES: ReadonlySet<string> = new Set([...LOAD_CODES, ...RUN_CODES, ...USAGE_CODES]);

/** What the addon threw, as this project's error. `source` is what it was about: a directory, a file. */
export function nativeError(error: unknown, source?: string): Pi05Error {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const known = typeof code === 'string' && CODES.has(code);
  return new Pi05Error(known ? (code as ErrorCode) : 'INTERNAL', String(message ?? error), source);
}
