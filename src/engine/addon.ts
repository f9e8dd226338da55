import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { EngineLimits } from '../config/engine-limits.js';
import { PROBLEM_CODES, Pi05Error, FAULT_CODES, USAGE_CODES, type ErrorCode } from '../errors.js';
import type { Fingerprint, Pixels, UnconvertedImage } from '../frame/frame.js';
import { packageRoot, setupCommand } from '../package-root.js';
import type { CheckpointDescription, InferRequest, ModelInfo } from './engine.js';

/** The functions of `native/addon`. What they reject with or throw is an Error with a status name as its `code`. */
export interface Addon {
  limits(): EngineLimits;
  open(options: {
    readonly checkpoint: string;
    readonly backend: 'auto' | 'cpu' | 'cuda';
    readonly precision: 'bf16' | 'fp8';
    readonly threads: number;
    readonly lowPriority: boolean;
  }): Promise<{ session: NativeSession; info: ModelInfo }>;
  /** Writes `actions`, [horizon, action dim]. It and all arrays of the request are borrowed until the promise settles. */
  infer(session: NativeSession, request: InferRequest, actions: Float32Array): Promise<NativeResult>;
  /** Prepares for requests with these image sizes, steps and RTC mode. Borrows the request's arrays as `infer` does. */
  prepare(session: NativeSession, request: InferRequest): Promise<void>;
  /** Frees the session when its pending calls are done. */
  close(session: NativeSession): Promise<void>;
  /** Reads only the headers of the weight files. */
  inspect(directory: string): Promise<CheckpointDescription>;
  makeCheckpoint(directory: string, size: 'tiny' | 'demo' | 'full', seed: bigint): Promise<void>;
  /** Computed on a thread of libuv's pool. Borrows the pixels until the promise settles. */
  fingerprint(image: Pixels): Promise<Fingerprint>;
  fingerprintSync(image: Pixels): Fingerprint;
  /** The pixels of an image as rgb8, [height, width, 3]. Computed on a thread of libuv's pool; borrows the pixels meanwhile. */
  convertToRgb8(image: UnconvertedImage): Promise<Uint8Array>;
  convertToRgb8Sync(image: UnconvertedImage): Uint8Array;
  /** What a JPEG or PNG file lacks, found on a thread of libuv's pool. Borrows the bytes until the promise settles. */
  checkImageFile(data: Uint8Array): Promise<ImageFile>;
  /** @param out [size, size, 3]. */
  resizePillow(image: Pixels, size: number, out: Uint8Array): void;
  /** @param out [size, size, 3], values 0…1, padding 0. */
  resizeLerobot(image: Pixels, size: number, out: Float32Array): void;
}

export interface ImageFile {
  /** Pixels; 0 where the file does not state them. */
  readonly width: number;
  readonly height: number;
  /** What is missing or wrong, a clause; empty if the image is complete. */
  readonly damage: string;
}

/** An opaque handle. */
export type NativeSession = { readonly pi05Session: unique symbol };

export interface NativeResult {
  readonly milliseconds: number;
  readonly trace: readonly { readonly name: string; readonly shape: number[]; readonly data: Float32Array }[];
}

let loaded: Addon | undefined;

/** The addon, which is loaded on first use. @throws Pi05Error ENVIRONMENT where it is not built or does not load. */
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

const CODES: ReadonlySet<string> = new Set([...PROBLEM_CODES, ...FAULT_CODES, ...USAGE_CODES]);

/** An error of the addon as a Pi05Error. @param source the directory or file concerned. */
export function nativeError(error: unknown, source?: string): Pi05Error {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const known = typeof code === 'string' && CODES.has(code);
  return new Pi05Error(known ? (code as ErrorCode) : 'INTERNAL', String(message ?? error), source);
}
