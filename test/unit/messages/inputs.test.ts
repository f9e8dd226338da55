import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { configFromFile } from '../../../src/config/file.js';
import { type InputMessage, policyInputs } from '../../../src/messages/inputs.js';
import { resolveTopic, withResolvedTopics } from '../../../src/messages/topics.js';
import type { Bag } from '../../../src/replay/bag/bag.js';
import { replayInputs } from '../../../src/replay/inputs.js';
import type { LifecycleNode, Rcl } from '../../../src/ros/rcl.js';
import type { NativeRcl } from '../../../src/ros/rclnodejs-internals.js';
import { subscribe } from '../../../src/ros/subscriptions.js';
import { actionJoint, exterior, robot, stateJoint, wrist } from '../pipeline/robot.js';
import { fixture, packageRoot } from '../root.js';

const MESSAGES: Readonly<Record<string, Uint8Array>> = {
  'sensor_msgs/msg/Image': readFileSync(fixture('cdr', 'image.rclpy.cdr')),
  'sensor_msgs/msg/CompressedImage': readFileSync(fixture('cdr', 'compressed.rclpy.cdr')),
  'sensor_msgs/msg/JointState': readFileSync(fixture('cdr', 'joints_full.rclpy.cdr')),
  'std_msgs/msg/String': readFileSync(fixture('cdr', 'string.rclpy.cdr')),
};

const resolve = (topic: string): string => resolveTopic(topic, '/left');

/** One input: its topic, its type, and one message of that type decoded, or the text of the error that it causes. */
type DecodedInput = readonly [topic: string, type: string, message: unknown];

function decodeFixture(type: string, decode: (cdr: Uint8Array) => unknown): unknown {
  try {
    return decode(MESSAGES[type]!);
  } catch (error) {
    return String(error);
  }
}

interface Subscribed {
  readonly type: string;
  readonly topic: string;
  readonly qos: unknown;
  readonly raw: boolean;
  readonly receive: (cdr: Uint8Array) => void;
}

class Qos {
  constructor(
    readonly history: string,
    readonly depth: number,
    readonly reliability: string,
    readonly durability: string,
  ) {}
}

const RCL = {
  QoS: Object.assign(Qos, {
    HistoryPolicy: { RMW_QOS_POLICY_HISTORY_KEEP_LAST: 'last' },
    ReliabilityPolicy: {
      RMW_QOS_POLICY_RELIABILITY_RELIABLE: 'reliable',
      RMW_QOS_POLICY_RELIABILITY_BEST_EFFORT: 'best effort',
    },
    DurabilityPolicy: {
      RMW_QOS_POLICY_DURABILITY_VOLATILE: 'volatile',
      RMW_QOS_POLICY_DURABILITY_TRANSIENT_LOCAL: 'transient local',
    },
  }),
} as unknown as Rcl;

const NATIVE: NativeRcl = { getParameterOverrides: () => undefined, rclTakeRaw: () => undefined };

/** The node's subscriptions, whose messages and errors go to `received`. */
function live(config: PolicyConfig, received: unknown[] = [], active = true): Subscribed[] {
  const subscribed: Subscribed[] = [];
  const node = {
    resolveTopicName: resolve,
    createSubscription: (
      type: string,
      topic: string,
      { qos, isRaw }: { qos: unknown; isRaw: boolean },
      receive: (cdr: Uint8Array) => void,
    ) => subscribed.push({ type, topic, qos, raw: isRaw, receive }),
  };
  const { lockstep } = config.schedule;
  subscribe(RCL, NATIVE, node as unknown as LifecycleNode, policyInputs(config, resolve), lockstep, {
    active: () => active,
    onArrival: () => {},
    onMessage: (message) => received.push(message),
    onError: (error) => received.push(String(error)),
  });
  return subscribed;
}

/** The inputs that a replay reads from a bag with every topic that the configuration names. */
function replayed(config: PolicyConfig): DecodedInput[] {
  const resolved = withResolvedTopics(config, resolve);
  const topics = new Map(policyInputs(resolved).map(({ topic, type }) => [topic, { type, count: undefined }]));
  const inputs = replayInputs(resolved, false, { topics } as unknown as Bag, 'the bag');
  return [...inputs.values()].map(({ topic, type, decode }) => [topic, type, decodeFixture(type, decode)]);
}

const presets = readdirSync(join(packageRoot, 'configs')).filter((name) => /^pi05_.*\.yaml$/.test(name));
const CASES: (readonly [string, PolicyConfig])[] = [
  ...presets.map((name) => [name, configFromFile(join(packageRoot, 'configs', name))] as const),
  ['a robot with a compressed camera', robot({ cameras: [exterior, { ...wrist, transport: 'compressed' }] })],
  ['a robot without joint states', robot({ state: { ...robot().state, mode: 'none' } })],
];

describe.each(CASES)('%s', (_, config) => {
  const table = policyInputs(config, resolve);
  const expected = table.map(({ resolvedTopic, type, decode }): DecodedInput => [
    resolvedTopic,
    type,
    decodeFixture(type, decode),
  ]);

  test('has_one_input_for_each_camera_the_joint_states_and_the_prompt', () => {
    const { cameras, state, promptTopic } = config;
    const topics = [...cameras.map(({ topic }) => topic), ...(state.mode === 'none' ? [] : [state.topic]), promptTopic];
    expect(table.map(({ topic }) => topic)).toEqual(topics);
    expect(table.map(({ resolvedTopic }) => resolvedTopic)).toEqual(topics.map(resolve));
    expect(new Set(table.map(({ type }) => MESSAGES[type])).has(undefined)).toBe(false);
  });

  test('the_live_node_subscribes_to_exactly_the_table_and_decodes_with_it', () => {
    const received: unknown[] = [];
    const subscribed = live(config, received);
    // rcl applies namespace and remapping to the configured name.
    expect(subscribed.map(({ topic }) => topic)).toEqual([...table.map(({ topic }) => topic), config.promptTopic]);
    expect(subscribed.every(({ raw }) => raw)).toBe(true);
    for (const { type, receive } of subscribed) receive(MESSAGES[type]!);
    // The two subscriptions to the prompt deliver a message once.
    const once = subscribed.slice(0, -1);
    expect(received).toHaveLength(once.length);
    const decoded = once.map(({ type, topic }, index): DecodedInput => [resolve(topic), type, received[index]]);
    expect(decoded).toEqual(expected);
  });

  test('a_replay_reads_exactly_the_table_and_decodes_with_it', () => {
    expect(replayed(config)).toEqual(expected);
  });
});

test('each_topic_of_a_joint_is_one_input_however_it_is_written', () => {
  const topics = [undefined, 'hand', '/left/joint_states', 'hand', '/left/hand', '/lift'];
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const state = { ...robot().state, joints: names.map((name, i) => stateJoint(name, { topic: topics[i] })) };
  const inputs = policyInputs(robot({ cameras: [], state }), resolve).filter(({ kind }) => kind === 'joint_state');
  expect(inputs.map(({ resolvedTopic }) => resolvedTopic)).toEqual(['/left/joint_states', '/left/hand', '/lift']);
});

test('without_a_joint_on_it_state_topic_is_no_input', () => {
  const joints = [stateJoint('a', { topic: 'hand' }), stateJoint('b', { topic: 'hand' })];
  const topicsOf = (config: PolicyConfig): string[] => policyInputs(config).map(({ topic }) => topic);
  const config = robot({ cameras: [], state: { ...robot().state, joints } });
  expect(topicsOf(config)).toEqual(['hand', 'prompt']);
  const action = { ...config.action, joints: [...config.action.joints, actionJoint('c')] };
  expect(topicsOf({ ...config, action })).toEqual(['hand', 'joint_states', 'prompt']);
});

describe('delivery', () => {
  const delivered = (lockstep: boolean) =>
    live(robot({}, { lockstep })).map(({ topic, qos }) => {
      const { depth, reliability, durability } = qos as Qos;
      return [topic, depth, durability === 'volatile' ? reliability : `${reliability}, ${durability}`];
    });

  test('is_best_effort_with_a_deep_queue_for_joint_states_and_reliable_for_prompts', () => {
    expect(delivered(false)).toEqual([
      ['exterior/image_raw', 5, 'best effort'],
      ['wrist/image_raw', 5, 'best effort'],
      ['joint_states', 50, 'best effort'],
      ['prompt', 50, 'reliable'],
      ['prompt', 50, 'reliable, transient local'],
    ]);
  });

  test('is_reliable_in_lockstep', () => {
    expect(delivered(true)).toEqual([
      ['exterior/image_raw', 100, 'reliable'],
      ['wrist/image_raw', 100, 'reliable'],
      ['joint_states', 100, 'reliable'],
      ['prompt', 50, 'reliable'],
      ['prompt', 50, 'reliable, transient local'],
    ]);
  });
});

test('an_inactive_node_decodes_only_prompts', () => {
  const received: InputMessage[] = [];
  for (const { type, receive } of live(robot(), received, false)) receive(MESSAGES[type]!);
  expect(received.map(({ kind }) => kind)).toEqual(['prompt']);
});

test('the_refusal_of_a_message_that_cannot_be_decoded_names_the_resolved_topic', () => {
  const received: unknown[] = [];
  for (const { receive } of live(robot(), received)) receive(Uint8Array.of(0, 1, 0, 0));
  expect(received).toHaveLength(4);
  expect(received.map((sentence) => /from (\S+)$/.exec(String(sentence))?.[1])).toEqual([
    '/left/exterior/image_raw',
    '/left/wrist/image_raw',
    '/left/joint_states',
    '/left/prompt',
  ]);
});
