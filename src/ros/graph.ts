import { randomUUID } from 'node:crypto';
import type { PolicyConfig } from '../config/config.js';
import { Pi05Error, type FaultCode, Refusal } from '../errors.js';
import { policyInputs } from '../messages/inputs.js';
import { ROS_TYPE } from '../messages/types.js';
import type { EndpointInfo, LifecycleNode } from './rcl.js';

type Graph = Pick<LifecycleNode, 'getFullyQualifiedName' | 'getNodeNamesAndNamespaces' | 'getPublishersInfoByTopic'>;

/**
 * Conflicts with other nodes in the ROS graph that do not stop the robot: the same full name, input topics of another type, or
 * two publishers of simulated time. Only nodes that discovery has found are seen.
 * @param resolved with resolved topics. @param simulated whether `use_sim_time` is set.
 */
export function graphFaults(node: Graph, resolved: PolicyConfig, simulated: boolean): Pi05Error<FaultCode>[] {
  return [...duplicateNames(node), ...differentTypes(node, resolved), ...(simulated ? sharedClock(node) : [])];
}

function sharedClock(node: Graph): Pi05Error<FaultCode>[] {
  const publishers = node.getPublishersInfoByTopic('/clock');
  if (publishers.length < 2) return [];
  const names = publishers.map(({ node_namespace, node_name }) => fullName(node_namespace, node_name)).toSorted();
  const sentence = `Expected one publisher on /clock, received ${publishers.length} (${names.join(', ')}): end the others`;
  return [new Pi05Error('CLOCK_SHARED', sentence, '/clock')];
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

/** The name that rmw gives to a publisher's node until the node itself is discovered, and for ever where it has none. */
export const UNNAMED = '_NODE_NAME_UNKNOWN_';

/** Bytes of a GID that all endpoints of one DDS participant, of one process here, share: the GUID prefix of RTPS. */
const PREFIX_BYTES = 12;

/**
 * What the GIDs of all publishers of this process begin with, as hex: that of a publisher on a topic that nobody else has.
 * @throws Pi05Error INTERNAL where the ROS graph does not show a new publisher of its own process at once.
 */
export function ownGidPrefix(
  node: Pick<
    LifecycleNode,
    'getFullyQualifiedName' | 'getPublishersInfoByTopic' | 'createPublisher' | 'destroyPublisher'
  >,
): string {
  const topic = `${node.getFullyQualifiedName()}/_${randomUUID().replaceAll('-', '')}`;
  const publisher = node.createPublisher(ROS_TYPE.Empty, topic);
  const [own] = node.getPublishersInfoByTopic(topic);
  node.destroyPublisher(publisher);
  if (own === undefined)
    throw new Pi05Error('INTERNAL', `Expected a publisher on ${topic}, found none in the ROS graph`);
  return prefixOf(own);
}

/**
 * OUTPUT_SHARED for each command topic with another publisher than those of the policy and its guard, which are one commander,
 * whatever the name of its node: a policy of the same name may run in another container. Inactive lifecycle publishers count
 * too: their node may activate them at any time. Those of a process that was killed stay until its DDS lease ends.
 * @param resolved with resolved topics. @param isOwn whether the GIDs of the policy or its guard begin with this, see `ownGidPrefix`.
 */
export function sharedOutputs(
  node: Graph,
  { outputs }: PolicyConfig,
  isOwn: (prefix: string) => boolean,
): Pi05Error<FaultCode>[] {
  const own = node.getFullyQualifiedName();
  const describe = ({ node_namespace, node_name }: EndpointInfo): string => {
    if (node_name === UNNAMED) return 'a publisher whose node is not known';
    const name = fullName(node_namespace, node_name);
    return name === own || name === guardName(own) ? `another ${name}` : name;
  };
  return outputs.flatMap(({ topic }) => {
    const others = node
      .getPublishersInfoByTopic(topic)
      .filter((publisher) => !isOwn(prefixOf(publisher)))
      .map(describe);
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

/** Time for which the publishers of a topic are remembered, ms: refusals may come faster than the graph can be asked. */
const NAMES_PERIOD_MS = 1000;

interface PublisherList {
  getPublishersInfoByTopic(topic: string): readonly { readonly node_name: string; readonly node_namespace: string }[];
}

/** The full names of the nodes that publish on topics, at most `NAMES_PERIOD_MS` old. */
export class PublisherNames {
  readonly #node: PublisherList;
  readonly #known = new Map<string, { readonly at: number; readonly names: readonly string[] }>();

  constructor(node: PublisherList) {
    this.#node = node;
  }

  /** Sorted, each once. @param topic full name. */
  of(topic: string): readonly string[] {
    const now = performance.now();
    const known = this.#known.get(topic);
    if (known !== undefined && now - known.at < NAMES_PERIOD_MS) return known.names;
    const found = this.#node.getPublishersInfoByTopic(topic).filter(({ node_name }) => node_name !== UNNAMED);
    const all = found.map(({ node_namespace, node_name }) => fullName(node_namespace, node_name));
    const names = [...new Set(all)].toSorted();
    this.#known.set(topic, { at: now, names });
    return names;
  }
}

/** JOINT_JUMP with the publishers of its topic, which may contradict each other; other refusals as they are. */
export function withPublishers(refusal: Refusal, publishers: PublisherNames): Refusal {
  if (refusal.code !== 'JOINT_JUMP' || refusal.source === undefined) return refusal;
  const names = publishers.of(refusal.source);
  return new Refusal(
    refusal.code,
    `${refusal.message}; published by ${names.join(' and ') || 'no known node'}`,
    refusal.source,
  );
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

function prefixOf({ endpoint_gid }: EndpointInfo): string {
  return Buffer.from(endpoint_gid.slice(0, PREFIX_BYTES)).toString('hex');
}

/** The full name of the node `name` in `namespace`, which may be `/`. */
export function fullName(namespace: string, name: string): string {
  return `${namespace.replace(/\/$/, '')}/${name}`;
}
