import type { PolicyConfig } from '../config/config.js';
import { Pi05Error, type FaultCode } from '../errors.js';
import { policyInputs } from '../messages/inputs.js';
import type { LifecycleNode } from './rcl.js';

type Graph = Pick<LifecycleNode, 'getFullyQualifiedName' | 'getNodeNamesAndNamespaces' | 'getPublishersInfoByTopic'>;

/**
 * What other nodes do that this one cannot work with: command the same robot, have the same name, or send another type than
 * is listened for. `resolved` has the topics by their full names. Nodes that have not found each other yet are not seen.
 */
export function graphFaults(node: Graph, resolved: PolicyConfig): Pi05Error<FaultCode>[] {
  return [...namesakes(node), ...sharedOutputs(node, resolved), ...differentTypes(node, resolved)];
}

function namesakes(node: Graph): Pi05Error<FaultCode>[] {
  const own = node.getFullyQualifiedName();
  const count = node
    .getNodeNamesAndNamespaces()
    .filter((other) => fullName(other.namespace, other.name) === own).length;
  if (count < 2) return [];
  const sentence = `Expected one node of the name ${own}, received ${count}: give each a namespace (-r __ns:=/left)`;
  return [new Pi05Error('NODE_DUPLICATE', sentence, own)];
}

/** What rmw calls the node of a publisher that it found before the node; its name comes a moment later. */
const UNNAMED = '_NODE_NAME_UNKNOWN_';

/** Publishers count whether they are active or not: whoever configured one may use it at any time. */
function sharedOutputs(node: Graph, { outputs }: PolicyConfig): Pi05Error<FaultCode>[] {
  return outputs.flatMap(({ topic }) => {
    const publishers = node.getPublishersInfoByTopic(topic).filter(({ node_name }) => node_name !== UNNAMED);
    if (publishers.length < 2) return [];
    const names = publishers.map((one) => fullName(one.node_namespace, one.node_name)).toSorted();
    const sentence = `Expected ${node.getFullyQualifiedName()} alone to command ${topic}, received ${names.join(', ')}`;
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
