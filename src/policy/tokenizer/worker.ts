/** The tokenizer's thread: loads a tokenizer, posts its properties, and answers requests until it is terminated. */
import { parentPort, workerData } from 'node:worker_threads';
import { errorMessage, Pi05Error } from '../../errors.js';
import { CONTROL_WORDS, DATA_BYTES, FAILED, IDLE, PENDING, type LoadResult, type WorkerInput } from './protocol.js';
import { Tokenizer } from './tokenizer.js';

const { load, memory } = workerData as WorkerInput;
const control = new Int32Array(memory, 0, CONTROL_WORDS);
const data = new Uint8Array(memory, CONTROL_WORDS * 4, DATA_BYTES);
const ids = new Int32Array(memory, CONTROL_WORDS * 4, DATA_BYTES / 4);
const post = (result: LoadResult): void => parentPort?.postMessage(result);

function serve(tokenizer: Tokenizer): void {
  Atomics.wait(control, 0, IDLE);
  Atomics.wait(control, 0, FAILED);
  if (Atomics.load(control, 0) !== PENDING) return;
  let state = IDLE;
  try {
    const encoded = tokenizer.encode(new TextDecoder().decode(data.slice(0, control[1])));
    ids.set(encoded);
    control[1] = encoded.length;
  } catch (error) {
    control[1] = new TextEncoder().encodeInto(String(error), data).written;
    state = FAILED;
  }
  Atomics.store(control, 0, state);
  Atomics.notify(control, 0);
}

let loaded: Tokenizer | undefined;
try {
  const tokenizer = await Tokenizer.load(...load);
  const { bos, vocab, longestPiece } = tokenizer;
  post({ bos, vocab, longestPiece });
  loaded = tokenizer;
} catch (error) {
  const known = error instanceof Pi05Error;
  post({
    error: {
      code: known ? String(error.code) : 'INTERNAL',
      message: errorMessage(error),
      source: known ? error.source : undefined,
    },
  });
}
while (loaded !== undefined) serve(loaded);
