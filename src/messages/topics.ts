import type { PolicyConfig } from '../config/config.js';
import { NODE_NAME } from '../config/file.js';
import { Pi05Error } from '../errors.js';

/** The full name of a topic of a policy node in `namespace` ('' or '/left'), without remapping. `~` is the node's own name. */
export function resolveTopic(topic: string, namespace: string): string {
  if (topic.startsWith('/')) return topic;
  const base = namespace.replace(/^\/+|\/+$/g, '');
  const name = topic === '~' || topic.startsWith('~/') ? NODE_NAME + topic.slice(1) : topic;
  return `/${base === '' ? '' : `${base}/`}${name}`;
}

/**
 * The same configuration with resolved topics: full names after namespace and remapping, which refusals name.
 * @throws Pi05Error CAMERA_DUPLICATE if remapping gives two cameras the same topic.
 */
export function withResolvedTopics(config: PolicyConfig, resolve: (topic: string) => string): PolicyConfig {
  const cameras = config.cameras.map((camera) => ({ ...camera, topic: resolve(camera.topic) }));
  for (const [index, { name, topic }] of cameras.entries()) {
    const other = cameras.slice(0, index).find((camera) => camera.topic === topic);
    if (other !== undefined) {
      throw new Pi05Error(
        'CAMERA_DUPLICATE',
        `Expected a different topic for each camera, received ${topic} for ${other.name} and ${name}`,
        topic,
      );
    }
  }
  return {
    ...config,
    cameras,
    promptTopic: resolve(config.promptTopic),
    safety: {
      ...config.safety,
      heartbeatTopic: config.safety.heartbeatTopic === '' ? '' : resolve(config.safety.heartbeatTopic),
    },
    state: {
      ...config.state,
      topic: resolve(config.state.topic),
      joints: config.state.joints.map((joint) => ({ ...joint, topic: joint.topic && resolve(joint.topic) })),
    },
    outputs: config.outputs.map((output) => ({ ...output, topic: resolve(output.topic) })),
    chunkTopic: resolve(config.chunkTopic),
    robotDescription: { ...config.robotDescription, topic: resolveOptional(config.robotDescription.topic, resolve) },
  };
}

function resolveOptional(topic: string, resolve: (topic: string) => string): string {
  return topic === '' ? '' : resolve(topic);
}
