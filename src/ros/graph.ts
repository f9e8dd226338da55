import type { PolicyConfig } from '../config/config.js';
import { Pi05Error, type FaultCode } from '../errors.js';
import { policyInputs } from '../messages/inputs.js';
import type { LifecycleNode } from './rcl.js';

type Graph = Pick<LifecycleNode, 'getFullyQualifiedName' | 'getNodeNamesAndNamespaces' | 'getPublishersInfoByTopic'>;

/**
 * Conflicts with other nodes in the ROS graph that do not stop the robot: the same full name, or input topics of another
 * type. Only nodes that discovery has found are seen.
 * @param resolved with resolved topics.
 */
export function graphFaults(node: Graph, resolved: PolicyConfig): Pi05Error<FaultCode>[] {
  return [...duplicateNames(node), ...differentTypes(node, resolved)];
}

function duplicateNames(node: Graph): Pi05Error<FaultCode>[] {
  const own = node.getFullyQualifiedName();
  const count = node
    .getNodeNamesAndNamespaces()
    .filter((other) => fullName(other.namespace, other.name) === own).length;
  if (count < 2) return [];
  const sentence = `Expected one node named ${own}, received ${count}: give each a namespace (-r __ns:=/left)`;
  return [new Pi05Error('NODE_DUPLICATE', sentence, own)];
}

/** The name that rmw gives to a publisher's node until the node itself is discovered. */
const UNNAMED = '_NODE_NAME_UNKNOWN_';

/**
 * OUTPUT_SHARED for each command topic on which another node publishes than the policy and its guard, which are one
 * commander. Inactive lifecycle publishers count too: their node may activate them at any time. A second policy of the same
 * name is NODE_DUPLICATE; one that was killed stays in the ROS graph until its DDS lease ends.
 * @param resolved with resolved topics.
 */
export function sharedOutputs(node: Graph, { outputs }: PolicyConfig): Pi05Error<FaultCode>[] {
  const own = node.getFullyQualifiedName();
  const guard = guardName(own);
  return outputs.flatMap(({ topic }) => {
    const others = node
      .getPublishersInfoByTopic(topic)
      .filter(({ node_name }) => node_name !== UNNAMED)
      .map(({ node_namespace, node_name }) => fullName(node_namespace, node_name))
      .filter((name) => name !== own && name !== guard);
    if (others.length === 0) return [];
    const names = [...new Set(others)].toSorted().join(', ');
    const remedy = 'end the other node, or set safety.allow_shared_outputs';
    return [
      new Pi05Error(
        'OUTPUT_SHARED',
        `Expected ${own} as the only commander on ${topic}, received ${names}: ${remedy}`,
        topic,
      ),
    ];
  });
}

function differentTypes(node: Graph, resolved: PolicyConfig): Pi05Error<FaultCode>[] {
  return policyInputs(resolved).flatMap(({ resolvedTopic: topic, type }) => {
    const others = node.getPublishersInfoByTopic(topic).filter(({ topic_type }) => topic_type !== type);
    if (others.length === 0) return [];
    const received = [...new Set(others.map(({ topic_type }) => topic_type))].toSorted().join(', ');
    return [new Pi05Error('TOPIC_TYPE', `Expected ${type} on ${topic}, received publishers of ${received}`, topic)];
  });
}

/** The full name of the guard of the policy node with the full name `policy`. */
export function guardName(policy: string): string {
  return `${policy}_guard`;
}

function fullName(namespace: string, name: string): string {
  return `${namespace.replace(/\/$/, '')}/${name}`;
}
