import type { Engine, InferRequest, InferResult, ModelInfo } from '../engine/engine.js';

interface Flight {
  /** Bag time at which the answer arrives, ns. */
  due: bigint;
  readonly request: InferRequest;
  readonly outcome: Promise<InferResult>;
  readonly resolve: (result: InferResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The engine in bag time: it computes at its own pace, and its answer is handed over when the replay says so, a fixed
 * latency of bag time after the question. So results do not depend on the machine's speed.
 */
export class BagTimeEngine implements Engine {
  readonly #engine: Engine;
  readonly #latency: bigint;
  readonly #now: () => bigint;
  #flight: Flight | undefined;
  #waited = 0;

  /** @param latency ns. @param now bag time, ns. */
  constructor(engine: Engine, latency: bigint, now: () => bigint) {
    this.#engine = engine;
    this.#latency = latency;
    this.#now = now;
  }

  get info(): ModelInfo {
    return this.#engine.info;
  }

  /** When the answer in flight is to be delivered, ns of bag time. */
  get due(): bigint | undefined {
    return this.#flight?.due;
  }

  /** Whether the question in flight has these pixels. */
  holds(data: Uint8Array): boolean {
    return this.#flight?.request.images.some((image) => image?.data === data) ?? false;
  }

  /** For how long the replay has waited for the engine so far, ms of real time. */
  get waited(): number {
    return this.#waited;
  }

  infer(request: InferRequest): Promise<InferResult> {
    const outcome = this.#engine.infer(request);
    // A failure is told when the answer is due.
    outcome.catch(() => {});
    return new Promise((resolve, reject) => {
      this.#flight = { due: this.#now() + this.#latency, request, outcome, resolve, reject };
    });
  }

  /** Bag time was set back: the answer in flight takes its latency from now on. */
  postpone(): void {
    if (this.#flight !== undefined) this.#flight.due = this.#now() + this.#latency;
  }

  /** Waits for the answer in flight and hands it over; resolves when whoever asked has dealt with it. */
  async deliver(): Promise<void> {
    const flight = this.#flight;
    if (flight === undefined) return;
    this.#flight = undefined;
    const started = performance.now();
    await flight.outcome.then(flight.resolve, flight.reject);
    this.#waited += performance.now() - started;
    // Whoever asked goes on in microtasks, which are over by then.
    await new Promise((resolve) => setImmediate(resolve));
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}
