import type { PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { chunkMessage, commandMessages, TRAJECTORY, velocityJoints } from '../messages/builders.js';
import type { LifecycleNode, LifecyclePublisher } from './rcl.js';

/** How long the stop action may take to reach everybody, ns. */
const FLUSH_TIMEOUT = 500_000_000n;

/** The publishers of chunks and commands; silent unless activated. */
export class Publishers {
  readonly #chunk: LifecyclePublisher;
  readonly #outputs: { publisher: LifecyclePublisher; message: (command: Command) => object }[];
  readonly #velocity: readonly boolean[];

  constructor(
    private readonly node: LifecycleNode,
    config: PolicyConfig,
    /** ns that a position command takes to be reached. */
    period: bigint,
  ) {
    this.#velocity = velocityJoints(config);
    this.#chunk = node.createLifecyclePublisher(TRAJECTORY, config.chunkTopic);
    this.#outputs = commandMessages(config, period).map(({ topic, type, message }) => ({
      publisher: node.createLifecyclePublisher(type, topic),
      message,
    }));
  }

  get #all(): LifecyclePublisher[] {
    return [this.#chunk, ...this.#outputs.map(({ publisher }) => publisher)];
  }

  activate(): void {
    for (const publisher of this.#all) publisher.activate();
  }

  deactivate(): void {
    for (const publisher of this.#all) publisher.deactivate();
  }

  chunk(chunk: ActionChunk): void {
    this.#chunk.publish(chunkMessage(chunk, this.#velocity));
  }

  command(command: Command): void {
    for (const { publisher, message } of this.#outputs) publisher.publish(message(command));
  }

  /** Waits, blocking for at most half a second a topic, until the commands reached everybody who listens reliably. */
  flush(): void {
    for (const { publisher } of this.#outputs) publisher.waitForAllAcked(FLUSH_TIMEOUT);
  }

  destroy(): void {
    for (const publisher of this.#all) this.node.destroyPublisher(publisher);
  }
}
