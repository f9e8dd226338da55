import type { PolicyConfig } from '../config/config.js';
import { policyInputs } from '../messages/inputs.js';
import type { LifecycleNode } from './rcl.js';

type Graph = Pick<LifecycleNode, 'countPublishers' | 'countSubscribers'>;

/** Every node has a publisher on `/parameter_events`, so that a new node shows there. */
const TOPICS_OF_ALL = ['/clock', '/parameter_events'];

/**
 * Notices that publishers, subscriptions or nodes have come or gone, by their numbers alone. It costs microseconds for each topic, so it may be
 * asked in each control period; who they are is asked only after a change.
 */
export class GraphChanges {
  readonly #node: Graph;
  readonly #inputs: readonly string[];
  readonly #commands: readonly string[];
  #publishers = '';
  #commanders = '';

  /** @param resolved with resolved topics. */
  constructor(node: Graph, resolved: PolicyConfig) {
    this.#node = node;
    this.#inputs = [
      ...new Set([...policyInputs(resolved).map(({ resolvedTopic }) => resolvedTopic), ...TOPICS_OF_ALL]),
    ];
    this.#commands = resolved.outputs.map(({ topic }) => topic);
  }

  /** Whether the number of publishers on a command topic has changed since the last call; true at the first. */
  commanders(): boolean {
    const counts = this.#commands.map((topic) => this.#node.countPublishers(topic)).join();
    const changed = counts !== this.#commanders;
    this.#commanders = counts;
    return changed;
  }

  /** Whether the number of publishers of an input, of listeners to the commands, or of nodes has changed since the last call; true at the first. */
  endpoints(): boolean {
    const publishers = this.#inputs.map((topic) => this.#node.countPublishers(topic));
    const counts = [...publishers, ...this.#commands.map((topic) => this.#node.countSubscribers(topic))].join();
    const changed = counts !== this.#publishers;
    this.#publishers = counts;
    return changed;
  }
}
