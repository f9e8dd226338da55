import type { PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { policyOutputs } from '../messages/outputs.js';
import type { LifecycleNode, LifecyclePublisher, Publisher } from './rcl.js';

/** A publisher and the function that makes its messages; undefined where none is needed. */
interface OutputPublisher<Kind extends Publisher, Value, Message> {
  readonly publisher: Kind;
  readonly build: (value: Value) => Message;
}

/**
 * The publisher of chunks, whose messages are dropped while it is inactive, and those of commands. The guard publishes the
 * commands; these are used only when it is lost, for the stop action.
 */
export class Publishers {
  readonly #node: LifecycleNode;
  readonly #chunk: OutputPublisher<LifecyclePublisher, ActionChunk, object>;
  readonly #commands: readonly OutputPublisher<Publisher, Command, object | undefined>[];

  /** @param config with topics as configured: rcl applies namespace and remapping. */
  constructor(node: LifecycleNode, config: PolicyConfig) {
    const { chunk, commands } = policyOutputs(config);
    this.#node = node;
    this.#chunk = { publisher: node.createLifecyclePublisher(chunk.type, chunk.topic), build: chunk.build };
    this.#commands = commands.map(({ type, topic, build }) => ({
      publisher: node.createPublisher(type, topic),
      build,
    }));
  }

  activate(): void {
    this.#chunk.publisher.activate();
  }

  deactivate(): void {
    this.#chunk.publisher.deactivate();
  }

  chunk(chunk: ActionChunk): void {
    this.#chunk.publisher.publish(this.#chunk.build(chunk));
  }

  command(command: Command): void {
    for (const { publisher, build } of this.#commands) {
      const message = build(command);
      if (message !== undefined) publisher.publish(message);
    }
  }

  destroy(): void {
    for (const { publisher } of [this.#chunk, ...this.#commands]) this.#node.destroyPublisher(publisher);
  }
}
