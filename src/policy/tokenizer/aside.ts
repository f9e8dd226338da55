import { Worker } from 'node:worker_threads';
import { Pi05Error, type ErrorCode } from '../../errors.js';
import { CONTROL, IDLE, PENDING, TEXT_BYTES, type Asked, type Loaded } from './protocol.js';
import type { Tokenizer } from './tokenizer.js';

/** An answer takes well under a millisecond; the thread has died or the machine is stuck when it takes this long. */
const PATIENCE_MS = 2000;

/**
 * A tokenizer in a thread of its own. Gemma's vocabulary is millions of small objects: where they share a heap with camera
 * messages, which are large and short-lived, each collection of those stops the control loop for 100 ms and more.
 */
export class TokenizerAside {
  readonly #worker: Worker;
  readonly #control: Int32Array;
  readonly #data: Uint8Array;
  readonly #ids: Int32Array;
  /** Why no answer will come any more. */
  #ended: string | undefined;
  /** The state often stays what it was. */
  #latest: { readonly text: string; readonly ids: readonly number[] } | undefined;

  private constructor(
    worker: Worker,
    memory: SharedArrayBuffer,
    readonly bos: number,
    /** One more than the largest id that `encode` can return, or `bos`. */
    readonly vocab: number,
    /** UTF-16 units of the longest piece. */
    readonly longest: number,
  ) {
    this.#worker = worker;
    worker.on('error', (error) => (this.#ended = error.message));
    worker.on('exit', () => (this.#ended ??= 'its thread has ended'));
    this.#control = new Int32Array(memory, 0, CONTROL);
    this.#data = new Uint8Array(memory, CONTROL * 4, TEXT_BYTES);
    this.#ids = new Int32Array(memory, CONTROL * 4, TEXT_BYTES / 4);
  }

  /** As `Tokenizer.load`. */
  static async load(...load: Parameters<typeof Tokenizer.load>): Promise<TokenizerAside> {
    const memory = new SharedArrayBuffer(CONTROL * 4 + TEXT_BYTES);
    const asked: Asked = { load, memory };
    const worker = new Worker(new URL('worker.js', import.meta.url), { workerData: asked });
    const loaded = await new Promise<Loaded>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error("the tokenizer's thread ended")));
    });
    if ('error' in loaded) {
      const { code, message, source } = loaded.error;
      throw new Pi05Error(code as ErrorCode, message, source);
    }
    worker.unref();
    return new TokenizerAside(worker, memory, loaded.bos, loaded.vocab, loaded.longest);
  }

  /** Ids of a text, without BOS; blocks until they are there. Throws INTERNAL where the thread does not answer. */
  encode(text: string): readonly number[] {
    if (this.#latest?.text === text) return this.#latest.ids;
    const busy = Atomics.load(this.#control, 0) === PENDING ? 'it is still at the text before' : undefined;
    const reason = this.#ended ?? busy;
    if (reason !== undefined) throw new Pi05Error('INTERNAL', `Expected a tokenizer, received none (${reason})`);
    const { read, written } = new TextEncoder().encodeInto(text, this.#data);
    if (read < text.length) {
      throw new Pi05Error(
        'INTERNAL',
        `Expected a text of at most ${TEXT_BYTES} bytes, received ${text.length} characters`,
      );
    }
    this.#control[1] = written;
    Atomics.store(this.#control, 0, PENDING);
    Atomics.notify(this.#control, 0);
    if (Atomics.wait(this.#control, 0, PENDING, PATIENCE_MS) === 'timed-out') {
      throw new Pi05Error('INTERNAL', `Expected token ids within ${PATIENCE_MS} ms, received none`);
    }
    const count = Atomics.load(this.#control, 1);
    if (Atomics.load(this.#control, 0) !== IDLE) {
      const reason = new TextDecoder().decode(this.#data.slice(0, count));
      throw new Pi05Error('INTERNAL', `Expected token ids from the tokenizer, received an error (${reason})`);
    }
    this.#latest = { text, ids: Array.from(this.#ids.subarray(0, count)) };
    return this.#latest.ids;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
