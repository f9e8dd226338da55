import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { configFromFile } from '../../../src/config/file.js';
import type { ActionChunk, Command } from '../../../src/frame/frame.js';
import { decodeFloat64, decodeFloat64MultiArray, decodeJointTrajectory } from '../../../src/messages/decode.js';
import { encodeFloat64MultiArray, encodeJointTrajectory } from '../../../src/messages/encode.js';
import { policyOutputs } from '../../../src/messages/outputs.js';
import type { JointTrajectory } from '../../../src/messages/types.js';
import { type Bag, openBag } from '../../../src/replay/bag/bag.js';
import { replayInputs } from '../../../src/replay/inputs.js';
import { BagOutput } from '../../../src/replay/output.js';
import { Publishers } from '../../../src/ros/publishers.js';
import type { LifecycleNode } from '../../../src/ros/rcl.js';
import { actionJoint, robot } from '../pipeline/robot.js';
import { packageRoot } from '../root.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pi05-outputs-'));
});
afterAll(() => rm(directory, { recursive: true }));

const DECODERS: Readonly<Record<string, (cdr: Uint8Array, topic: string) => unknown>> = {
  'trajectory_msgs/msg/JointTrajectory': decodeJointTrajectory,
  'std_msgs/msg/Float64': (cdr, topic) => ({ data: decodeFloat64(cdr, topic) }),
  'std_msgs/msg/Float64MultiArray': (cdr, topic) => decodeFloat64MultiArray(cdr, topic).data,
};

/** [topic, type, message] of one publication; an array message is its values alone. */
type Sent = readonly [topic: string, type: string, message: unknown];

function chunkOf({ action }: PolicyConfig): ActionChunk {
  const joints = action.joints.map(({ name }) => name);
  const values = Float64Array.from({ length: 3 * joints.length }, (_, i) => i / 7 - 1);
  return { stamp: 1_700_000_000_123_456_789n, joints, rows: 3, values, period: 1 / 15 };
}

function commandOf({ action }: PolicyConfig): Command {
  const values = Float64Array.from(action.joints, (_, i) => i / 3 - 1);
  return { time: 1_700_000_001_000_000_001n, reason: 'step', values };
}

/** What a live node publishes for one chunk and one command. */
function published(config: PolicyConfig): Sent[] {
  const sent: Sent[] = [];
  const createPublisher = (type: string, topic: string) => ({
    publish: (message: { layout?: object; data?: Float64Array }) =>
      sent.push([topic, type, message.layout === undefined ? message : message.data]),
  });
  const node = { createLifecyclePublisher: createPublisher, createPublisher } as unknown as LifecycleNode;
  const publishers = new Publishers(node, config);
  publishers.chunk(chunkOf(config));
  publishers.command(commandOf(config));
  return sent;
}

/** What a replay writes to its output bag for the same. */
async function written(config: PolicyConfig, path: string): Promise<Sent[]> {
  const output = await BagOutput.create(path, config);
  output.chunk(chunkOf(config));
  output.command(commandOf(config));
  await output.close();
  const bag = await openBag(path);
  const sent: Sent[] = [];
  for await (const { topic, type, data } of bag.messages(new Set(bag.topics.keys()))) {
    sent.push([topic, type, DECODERS[type]!(data, topic)]);
  }
  await bag.close();
  return sent;
}

const presets = readdirSync(join(packageRoot, 'configs')).filter((name) => /^pi05_.*\.yaml$/.test(name));

const configs = presets.map((preset) => [preset, configFromFile(join(packageRoot, 'configs', preset))] as const);
const droid = new Map(configs).get('pi05_droid.yaml')!;
const outputs = droid.outputs.map((output) =>
  output.name === 'gripper' ? { ...output, type: 'float64' as const } : output,
);

describe.each([...configs, ['a gripper as a number', { ...droid, outputs }] as const])('%s', (name, config) => {
  const { chunk, commands } = policyOutputs(config);
  const table = [chunk, ...commands].map(({ topic, type }) => [topic, type]);

  test('the_live_node_publishes_on_exactly_the_topics_of_the_table', () => {
    expect(table).toHaveLength(1 + config.outputs.length);
    expect(published(config).map(([topic, type]) => [topic, type])).toEqual(table);
  });

  test('a_replay_writes_what_the_live_node_publishes', async () => {
    expect(await written(config, join(directory, `${name}.mcap`))).toEqual(published(config));
  });

  test('a_replay_reads_recorded_commands_from_exactly_the_tables_command_topics', () => {
    const { cameras, state, promptTopic } = config;
    const topics = new Map(
      [...commands, ...replayTopics(cameras, state, promptTopic)].map(({ topic, type }) => [topic, { type }]),
    );
    const inputs = replayInputs(config, false, { topics } as unknown as Bag, 'the bag');
    const actions = [...inputs.values()].filter(({ kind }) => kind === 'action');
    expect(actions.map(({ topic, type }) => [topic, type])).toEqual(table.slice(1));
    const command = commandOf(config);
    for (const [index, { joints }] of config.outputs.entries()) {
      const values = joints.map(
        (joint) => command.values[config.action.joints.findIndex(({ name }) => name === joint)]!,
      );
      const action = { joints, values: Float64Array.from(values) };
      expect(actions[index]!.decode(commands[index]!.encode(command)!)).toEqual({ kind: 'action', action });
    }
  });
});

/** The topics without which a bag is refused. */
function replayTopics(
  cameras: PolicyConfig['cameras'],
  state: PolicyConfig['state'],
  promptTopic: string,
): { topic: string; type: string }[] {
  const images = cameras.map(({ topic, transport }) => ({
    topic,
    type: transport === 'raw' ? 'sensor_msgs/msg/Image' : 'sensor_msgs/msg/CompressedImage',
  }));
  return [
    ...images,
    { topic: state.topic, type: 'sensor_msgs/msg/JointState' },
    { topic: promptTopic, type: 'std_msgs/msg/String' },
  ];
}

describe('an output of type joint_trajectory_chunk', () => {
  const joints = [actionJoint('arm'), actionJoint('gripper')];
  const base = { name: 'all', topic: 'a', type: 'joint_trajectory_chunk', joints: ['gripper', 'arm'] } as const;
  const output = (stamp: 'zero' | 'observation') =>
    policyOutputs(robot({ action: { joints, bound: 'none' }, outputs: [{ ...base, stamp }] })).commands[0]!;
  const time = 1_700_000_000_000_000_000n;
  const step: Command = { time, reason: 'step', values: Float64Array.of(1, 2), observation: time - 250_000_000n };
  const following = [Float64Array.of(3, 4), Float64Array.of(5, 6)];
  const points = (command: Command, stamp: 'zero' | 'observation' = 'zero') => {
    const message = output(stamp).build(command) as JointTrajectory | undefined;
    return message?.points.map(({ positions, time_from_start: { nanosec } }) => [nanosec / 1e6, ...positions]);
  };

  test('sends_a_command_with_all_that_follow_one_control_period_apart', () => {
    expect(points({ ...step, following })).toEqual([
      [100, 2, 1],
      [200, 4, 3],
      [300, 6, 5],
    ]);
    expect(points({ ...step, following }, 'observation')?.map(([ms]) => ms)).toEqual([350, 450, 550]);
  });

  test('sends_nothing_for_a_command_that_the_trajectory_before_contains', () => {
    expect([points(step), output('zero').encode(step)]).toEqual([undefined, undefined]);
  });

  test('sends_the_stop_action_as_one_point', () => {
    expect(points({ time, reason: 'stop', values: Float64Array.of(1, 2) })).toEqual([[100, 2, 1]]);
  });

  test('reads_a_recorded_command_of_one_point_and_no_trajectory', () => {
    const { encode, decode } = output('zero');
    expect(decode(encode({ ...step, following: [] })!)?.values).toEqual(Float64Array.of(2, 1));
    expect(decode(encode({ ...step, following })!)).toBeUndefined();
  });
});

describe('a recorded command', () => {
  const joints = [actionJoint('arm'), actionJoint('gripper')];
  const outputs = [
    { name: 'trajectory', topic: 'a', type: 'joint_trajectory', stamp: 'zero', joints: ['gripper', 'arm'] },
    { name: 'array', topic: 'b', type: 'float64_multi_array', stamp: 'zero', joints: ['gripper', 'arm'] },
  ] as const;
  const [trajectory, array] = policyOutputs(robot({ action: { joints, bound: 'none' }, outputs })).commands;
  const empty = new Float64Array(0);
  const header = { stamp: { sec: 0, nanosec: 0 }, frame_id: '' };
  const point = (positions: Float64Array) => ({
    positions,
    velocities: empty,
    accelerations: empty,
    effort: empty,
    time_from_start: { sec: 0, nanosec: 0 },
  });

  test('of_another_node_has_the_joint_names_of_its_message', () => {
    const points = [point(Float64Array.of(1, 2)), point(Float64Array.of(3, 4))];
    const cdr = encodeJointTrajectory({ header, joint_names: ['arm', 'finger'], points });
    expect(trajectory!.decode(cdr)).toEqual({ joints: ['arm', 'finger'], values: Float64Array.of(1, 2) });
  });

  test('without_positions_has_no_values', () => {
    const message = { header, joint_names: ['arm', 'gripper'] };
    expect(trajectory!.decode(encodeJointTrajectory({ ...message, points: [] }))).toBeUndefined();
    expect(trajectory!.decode(encodeJointTrajectory({ ...message, points: [point(empty)] }))).toBeUndefined();
  });

  test('of_another_length_has_no_values', () => {
    const message = (data: Float64Array) => encodeFloat64MultiArray({ layout: { dim: [], data_offset: 0 }, data });
    expect(array!.decode(message(Float64Array.of(1, 2)))).toEqual({
      joints: ['gripper', 'arm'],
      values: Float64Array.of(1, 2),
    });
    expect(array!.decode(message(Float64Array.of(1, 2, 3)))).toBeUndefined();
  });
});
