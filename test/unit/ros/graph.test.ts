import { describe, expect, test } from '@jest/globals';
import { Refusal } from '../../../src/errors.js';
import { graphFaults, ownGidPrefix, PublisherNames, sharedOutputs, withPublishers } from '../../../src/ros/graph.js';
import type { Publisher as RosPublisher } from '../../../src/ros/rcl.js';
import { robot } from '../pipeline/robot.js';

const OUTPUTS = [
  { name: 'arm', topic: '/arm/commands', type: 'float64_multi_array', stamp: 'zero', joints: ['a', 'b'] },
] as const;
const COMMANDS = 'std_msgs/msg/Float64MultiArray';
const STATE = 'sensor_msgs/msg/JointState';
const QOS = { reliability: 1, durability: 2, deadline: { seconds: 0n, nanoseconds: 0 }, liveliness: 1 };

/** Topic, type, node, and the last byte of the prefix of its GID: 1 for those of the policy and its guard. */
type Publisher = readonly [string, string, string, number?];

/** All faults of /left/policy_node in a graph with these publishers and nodes. */
function faults(publishers: readonly Publisher[], nodes = ['/left/policy_node', '/camera']) {
  const split = (path: string) => ({
    namespace: path.slice(0, Math.max(1, path.lastIndexOf('/'))),
    name: path.slice(path.lastIndexOf('/') + 1),
  });
  const graph = {
    getFullyQualifiedName: () => '/left/policy_node',
    getNodeNamesAndNamespaces: () => nodes.map(split),
    getPublishersInfoByTopic: (topic: string) =>
      publishers
        .filter(([publishedTopic]) => publishedTopic === topic)
        .map(([, topic_type, publisher, gid = 2]) => ({
          topic_type,
          endpoint_gid: [0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, gid, 7, 7, 7, 7],
          qos_profile: QOS,
          node_name: split(publisher).name,
          node_namespace: split(publisher).namespace,
        })),
  };
  const resolved = robot({ outputs: OUTPUTS });
  return [
    ...sharedOutputs(graph, resolved, (prefix) => prefix === '00ff00000000000000000001'),
    ...graphFaults(graph, resolved, true),
  ].map(String);
}

const OWN = ['/arm/commands', COMMANDS, '/left/policy_node', 1] as const;

test('a_jump_names_the_publishers_of_its_topic_and_other_refusals_do_not', () => {
  let asked = 0;
  const names = new PublisherNames({
    getPublishersInfoByTopic: () => {
      asked++;
      const nodes = ['joint_state_publisher', '_NODE_NAME_UNKNOWN_', 'broadcaster', 'broadcaster'];
      return nodes.map((node_name) => ({ node_name, node_namespace: '/' }));
    },
  });
  const jump = new Refusal('JOINT_JUMP', 'Expected steps, received a jump', '/joint_states');
  for (let i = 0; i < 3; i++) {
    expect(withPublishers(jump, names).message).toBe(
      'Expected steps, received a jump; published by /broadcaster and /joint_state_publisher',
    );
  }
  expect(asked).toBe(1);
  const other = new Refusal('JOINT_RANGE', 'Expected a, received b', '/joint_states');
  expect(withPublishers(other, names)).toBe(other);
});

describe('graphFaults', () => {
  test('a_node_with_a_unique_name_and_its_own_command_topics_has_no_faults', () => {
    const inputs = [
      ['exterior/image_raw', 'sensor_msgs/msg/Image', '/camera'],
      ['joint_states', STATE, '/arm'],
      ['joint_states', STATE, '/gripper'],
    ] as const;
    expect(faults([OWN, ...inputs], ['/left/policy_node', '/right/policy_node', '/policy_node'])).toEqual([]);
  });

  test('another_publisher_of_an_output_is_named', () => {
    expect(faults([OWN, ['/arm/commands', COMMANDS, '/teleop']])).toEqual([
      'OUTPUT_SHARED: Expected /left/policy_node as the only commander on /arm/commands, received /teleop: ' +
        'end the other node, or set safety.allow_shared_outputs',
    ]);
  });

  test('the_policy_and_its_guard_are_one_commander_and_the_guard_of_another_policy_is_another', () => {
    const guard = ['/arm/commands', COMMANDS, '/left/policy_node_guard', 1] as const;
    expect(faults([OWN, guard])).toEqual([]);
    expect(faults([OWN, guard, ['/arm/commands', COMMANDS, '/right/policy_node_guard']])).toEqual([
      expect.stringContaining('received /right/policy_node_guard: '),
    ]);
  });

  test('a_policy_of_the_same_name_and_its_guard_are_other_commanders_than_this_one', () => {
    const others = ['/left/policy_node', '/left/policy_node_guard'].map(
      (name) => ['/arm/commands', COMMANDS, name] as const,
    );
    expect(faults([OWN, ...others])).toEqual([
      expect.stringContaining('received another /left/policy_node, another /left/policy_node_guard: '),
    ]);
  });

  test('the_node_of_a_publisher_may_be_unknown', () => {
    const unknown = '_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_';
    expect(faults([OWN, ['/arm/commands', COMMANDS, unknown, 1]])).toEqual([]);
    expect(faults([OWN, ['/arm/commands', COMMANDS, unknown]])).toEqual([
      expect.stringContaining('received a publisher whose node is not known: '),
    ]);
  });

  test('two_publishers_of_simulated_time_are_named', () => {
    const clock = ['/clock', 'rosgraph_msgs/msg/Clock', '/gazebo'] as const;
    expect(faults([OWN, clock])).toEqual([]);
    expect(faults([OWN, clock, ['/clock', 'rosgraph_msgs/msg/Clock', '/bag']])).toEqual([
      'CLOCK_SHARED: Expected one publisher on /clock, received 2 (/bag, /gazebo): end the others',
    ]);
  });

  test('a_second_node_with_the_same_name_is_counted', () => {
    expect(faults([OWN], ['/left/policy_node', '/camera', '/left/policy_node'])).toEqual([
      'NODE_DUPLICATE: Expected one node named /left/policy_node, received 2: give each a namespace (-r __ns:=/left)',
    ]);
  });

  test('publishers_whose_type_differs_from_the_subscription_are_named', () => {
    const compressed = 'sensor_msgs/msg/CompressedImage';
    expect(faults([OWN, ['wrist/image_raw', compressed, '/camera'], ['prompt', STATE, '/x']])).toEqual([
      `TOPIC_TYPE: Expected sensor_msgs/msg/Image on wrist/image_raw, received publishers of ${compressed}`,
      `TOPIC_TYPE: Expected std_msgs/msg/String on prompt, received publishers of ${STATE}`,
    ]);
  });
});

test('the_prefix_of_the_own_gids_is_that_of_a_publisher_that_exists_only_for_this', () => {
  const topics: string[] = [];
  const graph = {
    getFullyQualifiedName: () => '/left/policy_node',
    createPublisher: (_: string, topic: string) => ({ topic: (topics.push(topic), topic) }) as unknown as RosPublisher,
    destroyPublisher: ({ topic }: { topic: string }) => void topics.splice(topics.indexOf(topic), 1),
    getPublishersInfoByTopic: (topic: string) =>
      topics.includes(topic)
        ? [
            {
              node_name: '',
              node_namespace: '',
              topic_type: '',
              qos_profile: QOS,
              endpoint_gid: Array.from({ length: 16 }, (_, i) => i),
            },
          ]
        : [],
  };
  expect(ownGidPrefix(graph)).toBe('000102030405060708090a0b');
  expect(topics).toEqual([]);
});
