import type { Tokenizer } from './tokenizer.js';

/**
 * The memory that the tokenizer's thread shares with its client: `CONTROL_WORDS` int32 (the state, and the length of the
 * data), then the data: the text as UTF-8 in a request; in the response the ids as int32, or an error as UTF-8.
 */
export const CONTROL_WORDS = 2;
export const DATA_BYTES = 1 << 18;

/** States. The client sets PENDING, the thread one of the other two. */
export const IDLE = 0;
export const PENDING = 1;
export const FAILED = 2;

/** What the thread is started with. */
export interface WorkerInput {
  readonly load: Parameters<typeof Tokenizer.load>;
  readonly memory: SharedArrayBuffer;
}

/** What the thread posts, once: the tokenizer's properties, or why it could not be loaded. */
export type LoadResult =
  | { readonly bos: number; readonly vocab: number; readonly longestPiece: number }
  | { readonly error: { readonly code: string; readonly message: string; readonly source: string | undefined } };
