import { type InputMessage, type PolicyInput } from '../messages/inputs.js';
import type { CameraReader } from './camera-reader.js';

/** Time between two reads while an observation is wanted, ms: shorter than the period of any usual camera. */
const WAITING_MS = 4;

export interface CameraPollerHandlers {
  /** While false, messages are dropped before they are decoded. */
  readonly active: () => boolean;
  /** Called with the resolved topic of each message that is read. */
  readonly onArrival: (topic: string) => void;
  /** Whether an inference waits for an observation. */
  readonly wanted: () => boolean;
  readonly onMessage: (message: InputMessage) => void;
  /** Called with anything that decoding or `onMessage` throws. */
  readonly onError: (error: unknown) => void;
}

/**
 * Reads the cameras after each control tick, when the next tick is furthest away, and every few milliseconds while an
 * inference waits for an observation. Whatever the rate of the cameras, only the newest message is ever read.
 */
export class CameraPoller {
  #next: NodeJS.Timeout | undefined;

  constructor(
    private readonly reader: CameraReader,
    /** In the reader's order. */
    private readonly cameras: readonly PolicyInput[],
    private readonly handlers: CameraPollerHandlers,
  ) {}

  /** Call this after each control tick. */
  tick(): void {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => this.poll(), 0);
  }

  poll(): void {
    clearTimeout(this.#next);
    const { active, onArrival, wanted, onError } = this.handlers;
    try {
      for (const [index, cdr] of this.reader.take().entries()) {
        if (cdr === undefined) continue;
        onArrival(this.cameras[index]!.resolvedTopic);
        if (active()) this.#offer(this.cameras[index]!, cdr);
      }
    } catch (error) {
      onError(error);
    }
    if (active() && wanted()) this.#next = setTimeout(() => this.poll(), WAITING_MS);
  }

  /** A message that is refused does not concern the other cameras. */
  #offer(camera: PolicyInput, cdr: Buffer): void {
    try {
      this.handlers.onMessage(camera.decode(cdr));
    } catch (error) {
      this.handlers.onError(error);
    }
  }

  close(): void {
    clearTimeout(this.#next);
    this.reader.close();
  }
}
