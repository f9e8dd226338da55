import type { PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { type PolicyOutput, policyOutputs } from '../messages/outputs.js';
import type { LifecycleNode, LifecyclePublisher } from './rcl.js';

/** How long a reliable subscriber may take to acknowledge the stop action, ns. */
const FLUSH_TIMEOUT = 500_000_000n;

/** A lifecycle publisher and the function that makes its messages. */
interface OutputPublisher<Value> {
  readonly publisher: LifecyclePublisher;
  readonly build: (value: Value) => object;
}

/** The publishers of chunks and commands. Messages are dropped while the publishers are inactive. */
export class Publishers {
  readonly #node: LifecycleNode;
  readonly #chunk: OutputPublisher<ActionChunk>;
  readonly #commands: readonly OutputPublisher<Command>[];

  /** @param config with topics as configured: rcl applies namespace and remapping. */
  constructor(node: LifecycleNode, config: PolicyConfig) {
    const connect = <Value>({ type, topic, build }: PolicyOutput<Value, object>): OutputPublisher<Value> => ({
      publisher: node.createLifecyclePublisher(type, topic),
      build,
    });
    const { chunk, commands } = policyOutputs(config);
    this.#node = node;
    this.#chunk = connect(chunk);
    this.#commands = commands.map(connect<Command>);
  }

  get #all(): LifecyclePublisher[] {
    return [this.#chunk, ...this.#commands].map(({ publisher }) => publisher);
  }

  activate(): void {
    for (const publisher of this.#all) publisher.activate();
  }

  deactivate(): void {
    for (const publisher of this.#all) publisher.deactivate();
  }

  chunk(chunk: ActionChunk): void {
    this.#chunk.publisher.publish(this.#chunk.build(chunk));
  }

  command(command: Command): void {
    for (const { publisher, build } of this.#commands) publisher.publish(build(command));
  }

  /** Blocks until all reliable subscribers have acknowledged the last command, at most `FLUSH_TIMEOUT` per topic. */
  flush(): void {
    for (const { publisher } of this.#commands) publisher.waitForAllAcked(FLUSH_TIMEOUT);
  }

  destroy(): void {
    for (const publisher of this.#all) this.#node.destroyPublisher(publisher);
  }
}
