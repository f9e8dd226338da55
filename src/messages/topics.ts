import type { PolicyConfig } from '../config/config.js';
import { NODE_NAME } from '../config/file.js';
import { Pi05Error } from '../errors.js';

/** A topic as the network knows it, of a policy node in `namespace` ('' or '/left'): `~/` is the node's own. */
export function resolveTopic(topic: string, namespace: string): string {
  if (topic.startsWith('/')) return topic;
  const base = namespace.replace(/^\/+|\/+$/g, '');
  const name = topic === '~' || topic.startsWith('~/') ? NODE_NAME + topic.slice(1) : topic;
  return `/${base === '' ? '' : `${base}/`}${name}`;
}

/**
 * The same configuration with topics as the network knows them, after namespace and remapping; refusals speak of these.
 * @throws Pi05Error CAMERA_DUPLICATE where remapping led two cameras to one topic
 */
export function withResolvedTopics(config: PolicyConfig, resolve: (topic: string) => string): PolicyConfig {
  const cameras = config.cameras.map((camera) => ({ ...camera, topic: resolve(camera.topic) }));
  for (const [index, { name, topic }] of cameras.entries()) {
    const other = cameras.slice(0, index).find((camera) => camera.topic === topic);
    if (other !== undefined) {
      throw new Pi05Error(
        'CAMERA_DUPLICATE',
        `Expected a topic of its own for each camera, received ${topic} for ${other.name} and ${name}`,
        topic,
      );
    }
  }
  return {
    ...config,
    cameras,
    promptTopic: resolve(config.promptTopic),
    state: { ...config.state, topic: resolve(config.state.topic) },
    outputs: config.outputs.map((output) => ({ ...output, topic: resolve(output.topic) })),
    chunkTopic: resolve(config.chunkTopic),
  };
}
