/** The tokenizer's thread: loads one, says what it is, and answers texts until it is ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { Pi05Error } from '../../errors.js';
import { CONTROL, FAILED, IDLE, PENDING, TEXT_BYTES, type Asked, type Loaded } from './protocol.js';
import { Tokenizer } from './tokenizer.js';

const { load, memory } = workerData as Asked;
const control = new Int32Array(memory, 0, CONTROL);
const data = new Uint8Array(memory, CONTROL * 4, TEXT_BYTES);
const ids = new Int32Array(memory, CONTROL * 4, TEXT_BYTES / 4);
const say = (loaded: Loaded): void => parentPort?.postMessage(loaded);

function answer(tokenizer: Tokenizer): void {
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
  const { bos, vocab, longest } = tokenizer;
  say({ bos, vocab, longest });
  loaded = tokenizer;
} catch (error) {
  const known = error instanceof Pi05Error;
  say({
    error: {
      code: known ? String(error.code) : 'INTERNAL',
      message: error instanceof Error ? error.message : String(error),
      source: known ? error.source : undefined,
    },
  });
}
while (loaded !== undefined) answer(loaded);
