import type { Tokenizer } from './tokenizer.js';

/**
 * What the tokenizer's thread and its caller share: `CONTROL` words (the state; the length of what follows), then a text as
 * UTF-8 on the way there, and ids as int32, or the reason of a failure as UTF-8, on the way back.
 */
export const CONTROL = 2;
export const TEXT_BYTES = 1 << 18;

/** States. The caller sets PENDING, the thread one of the others. */
export const IDLE = 0;
export const PENDING = 1;
export const FAILED = 2;

export interface Asked {
  readonly load: Parameters<typeof Tokenizer.load>;
  readonly memory: SharedArrayBuffer;
}

export type Loaded =
  | { readonly bos: number; readonly vocab: number; readonly longest: number }
  | { readonly error: { readonly code: string; readonly message: string; readonly source: string | undefined } };
