import type { Engine, InferRequest, InferResult, ModelInfo } from '../engine/engine.js';

interface InFlight {
  /** Bag time at which the result is delivered, ns. */
  due: bigint;
  readonly request: InferRequest;
  readonly outcome: Promise<InferResult>;
  readonly resolve: (result: InferResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Wraps an engine so that inference takes a fixed latency of bag time. The engine computes at its own pace, and the replay
 * delivers the result when bag time reaches request time + latency. So results do not depend on the speed of the machine.
 */
export class BagTimeEngine implements Engine {
  readonly #engine: Engine;
  readonly #latency: bigint;
  readonly #now: () => bigint;
  #inFlight: InFlight | undefined;
  #waitedMs = 0;

  /** @param latency ns. @param now bag time, ns. */
  constructor(engine: Engine, latency: bigint, now: () => bigint) {
    this.#engine = engine;
    this.#latency = latency;
    this.#now = now;
  }

  get info(): ModelInfo {
    return this.#engine.info;
  }

  /** When the result in flight is to be delivered, ns of bag time. */
  get due(): bigint | undefined {
    return this.#inFlight?.due;
  }

  /** Whether the inference in flight uses these pixels. */
  isInUse(data: Uint8Array): boolean {
    return this.#inFlight?.request.images.some((image) => image?.data === data) ?? false;
  }

  /** Real time for which the replay has waited for the engine so far, ms. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  infer(request: InferRequest): Promise<InferResult> {
    const outcome = this.#engine.infer(request);
    // A failure is reported when the result is due.
    outcome.catch(() => {});
    return new Promise((resolve, reject) => {
      this.#inFlight = { due: this.#now() + this.#latency, request, outcome, resolve, reject };
    });
  }

  /** Call this when bag time goes back: the result in flight becomes due one latency after the new time. */
  postpone(): void {
    if (this.#inFlight !== undefined) this.#inFlight.due = this.#now() + this.#latency;
  }

  /** Waits for the result in flight and delivers it; resolves when the caller of `infer` has handled it. */
  async deliver(): Promise<void> {
    const inFlight = this.#inFlight;
    if (inFlight === undefined) return;
    this.#inFlight = undefined;
    const started = performance.now();
    await inFlight.outcome.then(inFlight.resolve, inFlight.reject);
    this.#waitedMs += performance.now() - started;
    // The caller handles the result in microtasks, which are done by then.
    await new Promise((resolve) => setImmediate(resolve));
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}
