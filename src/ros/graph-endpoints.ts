import type { PolicyConfig } from '../config/config.js';
import { Pi05Error, type FaultCode } from '../errors.js';
import { policyInputs, type PolicyInput } from '../messages/inputs.js';
import { policyOutputs } from '../messages/outputs.js';
import { fullName, UNNAMED } from './graph.js';
import type { EndpointInfo, EndpointQos, LifecycleNode } from './rcl.js';

type Graph = Pick<LifecycleNode, 'getPublishersInfoByTopic' | 'getSubscriptionsInfoByTopic'>;

/** Values of rmw's enumerations (rmw/types.h). */
const RELIABLE = 1;
const BEST_EFFORT = 2;
const TRANSIENT_LOCAL = 1;
const VOLATILE = 2;
const MANUAL_BY_TOPIC = 3;
/** An endpoint without a deadline has one of 2⁶³ ns. */
const NO_DEADLINE_SECONDS = 9_000_000_000n;

type MatchedQos = Pick<EndpointQos, 'reliability' | 'durability'> & Partial<EndpointQos>;

/** What a publisher offers less than a subscription requests (DDS 1.4, 2.2.3, "requested/offered"); [] where they match. */
export function mismatches(offered: MatchedQos, requested: MatchedQos): string[] {
  const deadline = ({ deadline: given }: MatchedQos): bigint => {
    if (given === undefined || (given.seconds === 0n && given.nanoseconds === 0)) return NO_DEADLINE_SECONDS;
    return given.seconds;
  };
  return [
    ...(offered.reliability === BEST_EFFORT && requested.reliability === RELIABLE ? ['reliability'] : []),
    ...(offered.durability === VOLATILE && requested.durability === TRANSIENT_LOCAL ? ['durability'] : []),
    ...(deadline(requested) < NO_DEADLINE_SECONDS && deadline(offered) > deadline(requested) ? ['deadline'] : []),
    ...(requested.liveliness === MANUAL_BY_TOPIC && offered.liveliness !== MANUAL_BY_TOPIC ? ['liveliness'] : []),
  ];
}

/** The QoS of the guard's command publishers, which is ROS's default. */
const COMMANDS: MatchedQos = { reliability: RELIABLE, durability: VOLATILE };

/** OUTPUT_UNHEARD for each command topic without a subscription that the commands reach. @param resolved with resolved topics. */
export function unheardOutputs(node: Graph, resolved: PolicyConfig): Pi05Error<FaultCode>[] {
  return policyOutputs(resolved).commands.flatMap(({ topic, type }) => {
    const subscriptions = node.getSubscriptionsInfoByTopic(topic);
    const reasons = subscriptions.map((subscription) => {
      if (subscription.topic_type !== type) return `${name(subscription)} with the type ${subscription.topic_type}`;
      const policies = mismatches(COMMANDS, subscription.qos_profile);
      return policies.length === 0
        ? undefined
        : `${name(subscription)} with a QoS that cannot match (${policies.join(', ')}: ${describe(subscription.qos_profile)})`;
    });
    if (reasons.includes(undefined)) return [];
    const received = subscriptions.length === 0 ? 'none' : [...new Set(reasons)].join(', ');
    const sentence = `Expected a subscription of ${type} on ${topic}, reliable and volatile, received ${received}: no controller gets the commands`;
    return [new Pi05Error('OUTPUT_UNHEARD', sentence, topic)];
  });
}

/**
 * QOS_INCOMPATIBLE for each input topic with publishers whose messages the node's subscription cannot get.
 * @param resolved with resolved topics.
 */
export function incompatibleInputs(node: Graph, resolved: PolicyConfig): Pi05Error<FaultCode>[] {
  return policyInputs(resolved).flatMap((input) => {
    const wrong = node
      .getPublishersInfoByTopic(input.resolvedTopic)
      .filter(
        ({ topic_type, qos_profile }) =>
          topic_type === input.type && mismatches(qos_profile, requestOf(input, resolved)).length > 0,
      );
    if (wrong.length === 0) return [];
    const received = wrong.map((publisher) => `${describe(publisher.qos_profile)} from ${name(publisher)}`);
    const sentence = `Expected publishers whose reliability matches the subscription on ${input.resolvedTopic}, which is reliable, received ${[...new Set(received)].join(', ')}`;
    return [new Pi05Error('QOS_INCOMPATIBLE', sentence, input.resolvedTopic)];
  });
}

/**
 * INPUT_SILENT for each camera and joint state topic that has publishers which match and from which nothing has come.
 * @param resolved with resolved topics. @param heard topics from which a message has come.
 */
export function silentInputs(node: Graph, resolved: PolicyConfig, heard: ReadonlySet<string>): Pi05Error<FaultCode>[] {
  return policyInputs(resolved).flatMap((input) => {
    const { kind, type, resolvedTopic: topic } = input;
    if (kind === 'prompt' || heard.has(topic)) return [];
    const publishers = node
      .getPublishersInfoByTopic(topic)
      .filter(
        ({ topic_type, qos_profile }) =>
          topic_type === type && mismatches(qos_profile, requestOf(input, resolved)).length === 0,
      );
    if (publishers.length === 0) return [];
    const names = [...new Set(publishers.map(name))].join(', ');
    const sentence =
      `Expected messages on ${topic}, received none although ${names} publishes there: either it sends nothing, or it runs as another user or in ` +
      'another container, whose shared memory (/dev/shm) this process cannot use (docs/errors.md, INPUT_SILENT)';
    return [new Pi05Error('INPUT_SILENT', sentence, topic)];
  });
}

/** What the node's subscription requests (`qosFor`); its second one for latched prompts is not counted. */
function requestOf({ delivery }: PolicyInput, { schedule }: PolicyConfig): MatchedQos {
  return { reliability: delivery === 'reliable' || schedule.lockstep ? RELIABLE : BEST_EFFORT, durability: VOLATILE };
}

function describe({ reliability, durability }: EndpointQos): string {
  return `${reliability === BEST_EFFORT ? 'best effort' : 'reliable'} and ${durability === TRANSIENT_LOCAL ? 'transient local' : 'volatile'}`;
}

/** The name of an endpoint's node, which rmw knows only once messages of that process arrive. */
function name({ node_namespace, node_name }: EndpointInfo): string {
  return node_name === UNNAMED ? 'a node whose name has not arrived' : fullName(node_namespace, node_name);
}
