import { Worker } from 'node:worker_threads';
import { Pi05Error, type ErrorCode } from '../../errors.js';
import { CONTROL_WORDS, DATA_BYTES, IDLE, PENDING, type LoadResult, type WorkerInput } from './protocol.js';
import type { Tokenizer } from './tokenizer.js';

/** A response takes well under a millisecond; after this long the thread has died or the machine is stuck. */
const TIMEOUT_MS = 2000;

/**
 * A tokenizer in a worker thread. Gemma's vocabulary is millions of small objects. In one heap with camera messages, which
 * are large and short-lived, every garbage collection would walk them and stop the control loop for 100 ms and more.
 */
export class TokenizerWorkerClient {
  readonly #worker: Worker;
  readonly #control: Int32Array;
  readonly #data: Uint8Array;
  readonly #ids: Int32Array;
  /** Why the thread has ended. */
  #ended: string | undefined;
  /** The last text and its ids: consecutive prompts are often equal. */
  #latest: { readonly text: string; readonly ids: readonly number[] } | undefined;

  private constructor(
    worker: Worker,
    memory: SharedArrayBuffer,
    readonly bos: number,
    /** One more than the largest id that `encode` can return, or `bos`. */
    readonly vocab: number,
    /** UTF-16 units of the longest piece. */
    readonly longestPiece: number,
  ) {
    this.#worker = worker;
    worker.on('error', (error) => (this.#ended = error.message));
    worker.on('exit', () => (this.#ended ??= 'its thread has ended'));
    this.#control = new Int32Array(memory, 0, CONTROL_WORDS);
    this.#data = new Uint8Array(memory, CONTROL_WORDS * 4, DATA_BYTES);
    this.#ids = new Int32Array(memory, CONTROL_WORDS * 4, DATA_BYTES / 4);
  }

  /** Starts the thread. Arguments and errors are those of `Tokenizer.load`. */
  static async load(...load: Parameters<typeof Tokenizer.load>): Promise<TokenizerWorkerClient> {
    const memory = new SharedArrayBuffer(CONTROL_WORDS * 4 + DATA_BYTES);
    const workerData: WorkerInput = { load, memory };
    const worker = new Worker(new URL('worker.js', import.meta.url), { workerData });
    const result = await new Promise<LoadResult>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error("the tokenizer's thread ended")));
    });
    if ('error' in result) {
      const { code, message, source } = result.error;
      throw new Pi05Error(code as ErrorCode, message, source);
    }
    worker.unref();
    return new TokenizerWorkerClient(worker, memory, result.bos, result.vocab, result.longestPiece);
  }

  /** The ids of a text, without BOS. Blocks until they are there. @throws Pi05Error INTERNAL where the thread does not answer. */
  encode(text: string): readonly number[] {
    if (this.#latest?.text === text) return this.#latest.ids;
    const busy = Atomics.load(this.#control, 0) === PENDING ? 'it is still busy with the previous text' : undefined;
    const reason = this.#ended ?? busy;
    if (reason !== undefined) throw new Pi05Error('INTERNAL', `Expected a tokenizer, received none (${reason})`);
    const { read, written } = new TextEncoder().encodeInto(text, this.#data);
    if (read < text.length) {
      throw new Pi05Error(
        'INTERNAL',
        `Expected a text of at most ${DATA_BYTES} bytes, received ${text.length} characters`,
      );
    }
    this.#control[1] = written;
    Atomics.store(this.#control, 0, PENDING);
    Atomics.notify(this.#control, 0);
    if (Atomics.wait(this.#control, 0, PENDING, TIMEOUT_MS) === 'timed-out') {
      throw new Pi05Error('INTERNAL', `Expected token ids within ${TIMEOUT_MS} ms, received none`);
    }
    const length = Atomics.load(this.#control, 1);
    if (Atomics.load(this.#control, 0) !== IDLE) {
      const reason = new TextDecoder().decode(this.#data.slice(0, length));
      throw new Pi05Error('INTERNAL', `Expected token ids from the tokenizer, received an error (${reason})`);
    }
    this.#latest = { text, ids: Array.from(this.#ids.subarray(0, length)) };
    return this.#latest.ids;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
