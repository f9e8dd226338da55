import type { PolicyConfig } from '../config/config.js';
import { Pi05Error, type FaultCode } from '../errors.js';
import { policyInputs } from '../messages/inputs.js';
import type { LifecycleNode } from './rcl.js';

type Graph = Pick<LifecycleNode, 'getFullyQualifiedName' | 'getNodeNamesAndNamespaces' | 'getPublishersInfoByTopic'>;

/**
 * Conflicts with other nodes in the ROS graph: the same full name, publishers on the same command topics, or input topics
 * of another type. Only nodes that discovery has found are seen.
 * @param resolved with resolved topics.
 */
export function graphFaults(node: Graph, resolved: PolicyConfig): Pi05Error<FaultCode>[] {
  return [...duplicateNames(node), ...sharedOutputs(node, resolved), ...differentTypes(node, resolved)];
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

/** Inactive lifecycle publishers count too: their node may activate them at any time. */
function sharedOutputs(node: Graph, { outputs }: PolicyConfig): Pi05Error<FaultCode>[] {
  return outputs.flatMap(({ topic }) => {
    const publishers = node.getPublishersInfoByTopic(topic).filter(({ node_name }) => node_name !== UNNAMED);
    if (publishers.length < 2) return [];
    const names = publishers.map(({ node_namespace, node_name }) => fullName(node_namespace, node_name)).toSorted();
    const sentence = `Expected ${node.getFullyQualifiedName()} as the only publisher on ${topic}, received ${names.join(', ')}`;
    return [new Pi05Error('OUTPUT_SHARED', sentence, topic)];
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

function fullName(namespace: string, name: string): string {
  return `${namespace.replace(/\/$/, '')}/${name}`;
}
