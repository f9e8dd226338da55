import type { PolicyInput } from '../messages/inputs.js';
import type { CameraNode, Rcl } from './rcl.js';
import { createCameraNode } from './rclnodejs-internals.js';
import { qos } from './subscriptions.js';

/** One camera's topic. */
export type CameraTopic = Pick<PolicyInput, 'resolvedTopic' | 'type'>;

/**
 * Subscribes to the cameras on a node of its own that is never spun, so that a message costs nothing until it is wanted. The
 * middleware keeps only the newest message of each camera. Topics are not remapped again.
 */
export class CameraReader {
  readonly #node: CameraNode;
  /** What the current `take` received, by camera. */
  #taken: (Buffer | undefined)[] = [];

  /** @param name of the node. */
  constructor(rcl: Rcl, name: string, namespace: string, cameras: readonly CameraTopic[]) {
    this.#node = createCameraNode(rcl, name, namespace);
    for (const [index, { type, resolvedTopic }] of cameras.entries()) {
      this.#node.createSubscription(type, resolvedTopic, { qos: qos(rcl, 1, false), isRaw: true }, (cdr) => {
        this.#taken[index] = cdr;
      });
    }
  }

  /** The serialised messages that arrived since the last call, the newest of each camera. Does not wait. */
  take(): readonly (Buffer | undefined)[] {
    this.#taken = [];
    this.#node.spinOnce(0);
    return this.#taken;
  }

  close(): void {
    this.#node.destroy();
  }
}
