import { describe, expect, test } from '@jest/globals';
import { incompatibleInputs, mismatches, silentInputs, unheardOutputs } from '../../../src/ros/graph-endpoints.js';
import type { EndpointInfo, EndpointQos } from '../../../src/ros/rcl.js';
import { robot } from '../pipeline/robot.js';

const FOREVER = { seconds: 9_223_372_036n, nanoseconds: 854_775_807 };
const DEFAULT: EndpointQos = { reliability: 1, durability: 2, deadline: FOREVER, liveliness: 1 };
const BEST_EFFORT: EndpointQos = { ...DEFAULT, reliability: 2 };
const LATCHED: EndpointQos = { ...DEFAULT, durability: 1 };
const PERIODIC: EndpointQos = { ...DEFAULT, deadline: { seconds: 0n, nanoseconds: 100_000_000 } };
const MANUAL: EndpointQos = { ...DEFAULT, liveliness: 3 };

const COMMANDS = 'std_msgs/msg/Float64MultiArray';
const RESOLVED = robot({
  outputs: [{ name: 'arm', topic: '/arm/commands', type: 'float64_multi_array', stamp: 'zero', joints: ['a', 'b'] }],
});

type Endpoint = readonly [topic: string, type: string, node: string, qos: EndpointQos];
function graph(publishers: readonly Endpoint[], subscriptions: readonly Endpoint[] = []) {
  const on = (endpoints: readonly Endpoint[], topic: string): EndpointInfo[] =>
    endpoints
      .filter(([name]) => name === topic)
      .map(([, topic_type, node_name, qos_profile]) => ({
        topic_type,
        node_name,
        node_namespace: '/',
        endpoint_gid: [],
        qos_profile,
      }));
  return {
    getPublishersInfoByTopic: (topic: string) => on(publishers, topic),
    getSubscriptionsInfoByTopic: (topic: string) => on(subscriptions, topic),
  };
}

test.each([
  [DEFAULT, DEFAULT, []],
  [DEFAULT, BEST_EFFORT, []],
  [BEST_EFFORT, DEFAULT, ['reliability']],
  [LATCHED, DEFAULT, []],
  [DEFAULT, LATCHED, ['durability']],
  [PERIODIC, DEFAULT, []],
  [DEFAULT, PERIODIC, ['deadline']],
  [PERIODIC, PERIODIC, []],
  [DEFAULT, MANUAL, ['liveliness']],
  [MANUAL, DEFAULT, []],
  [BEST_EFFORT, LATCHED, ['reliability', 'durability']],
])('what_a_publisher_offers_and_a_subscription_requests %#', (offered, requested, expected) => {
  expect(mismatches(offered, requested)).toEqual(expected);
});

describe('a command topic', () => {
  const faults = (...subscriptions: Endpoint[]) => unheardOutputs(graph([], subscriptions), RESOLVED).map(String);

  test('with_a_listener_is_no_fault', () => {
    expect(faults(['/arm/commands', COMMANDS, 'controller', DEFAULT])).toEqual([]);
    const recorder: Endpoint = ['/arm/commands', COMMANDS, 'recorder', BEST_EFFORT];
    expect(faults(['/arm/commands', COMMANDS, 'controller', LATCHED], recorder)).toEqual([]);
  });

  test('without_a_listener_is_named', () => {
    expect(faults(['/arm/other', COMMANDS, 'controller', DEFAULT])).toEqual([
      `OUTPUT_UNHEARD: Expected a subscription of ${COMMANDS} on /arm/commands, reliable and volatile, received none: no controller gets the commands`,
    ]);
  });

  test('with_listeners_that_cannot_match_names_them_and_why', () => {
    const trajectories = 'trajectory_msgs/msg/JointTrajectory';
    expect(
      faults(['/arm/commands', COMMANDS, 'controller', LATCHED], ['/arm/commands', trajectories, 'other', DEFAULT])[0],
    ).toMatch(
      /received \/controller with a QoS that cannot match \(durability: reliable and transient local\), \/other with the type trajectory_msgs\/msg\/JointTrajectory: /,
    );
  });
});

describe('an input', () => {
  const IMAGE = 'sensor_msgs/msg/Image';
  const [camera] = RESOLVED.cameras;
  const topic = camera!.topic;

  test('without_lockstep_takes_best_effort_and_the_prompt_does_not', () => {
    const publishers: Endpoint[] = [
      [topic, IMAGE, 'camera', BEST_EFFORT],
      ['prompt', 'std_msgs/msg/String', 'speech', BEST_EFFORT],
    ];
    expect(incompatibleInputs(graph(publishers), RESOLVED).map(String)).toEqual([
      'QOS_INCOMPATIBLE: Expected publishers whose reliability matches the subscription on prompt, which is reliable, received best effort and volatile from /speech',
    ]);
    const lockstep = { ...RESOLVED, schedule: { ...RESOLVED.schedule, lockstep: true } };
    expect(incompatibleInputs(graph(publishers), lockstep).map(({ source }) => source)).toEqual([topic, 'prompt']);
  });

  test('that_has_publishers_and_brought_nothing_is_named_with_them', () => {
    const publishers: Endpoint[] = [[topic, IMAGE, 'camera', DEFAULT]];
    expect(silentInputs(graph(publishers), RESOLVED, new Set()).map(String)).toEqual([
      expect.stringMatching(/^INPUT_SILENT: .* received none although \/camera publishes there: .*\/dev\/shm/),
    ]);
    const unnamed: Endpoint[] = [[topic, IMAGE, '_NODE_NAME_UNKNOWN_', DEFAULT]];
    expect(String(silentInputs(graph(unnamed), RESOLVED, new Set())[0])).toMatch(
      /although a node whose name has not arrived publishes there/,
    );
    expect(silentInputs(graph(publishers), RESOLVED, new Set([topic]))).toEqual([]);
    expect(silentInputs(graph([]), RESOLVED, new Set())).toEqual([]);
    expect(silentInputs(graph([[topic, 'other/msg/Type', 'camera', DEFAULT]]), RESOLVED, new Set())).toEqual([]);
  });
});
