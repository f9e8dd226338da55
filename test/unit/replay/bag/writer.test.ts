import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { McapIndexedReader } from '@mcap/core';
import { FileHandleReadable } from '@mcap/nodejs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { encodeFloat64MultiArray, encodeJointTrajectory } from '../../../../src/messages/encode.js';
import { decodeFloat64MultiArray, decodeJointTrajectory } from '../../../../src/messages/decode.js';
import { openBag } from '../../../../src/replay/bag/bag.js';
import { messageDefinition } from '../../../../src/replay/bag/message-definitions.js';
import { BagWriter } from '../../../../src/replay/bag/writer.js';
import { python } from './bags.js';

const TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory';
const ARRAY = 'std_msgs/msg/Float64MultiArray';
const START = 1_700_000_000_000_000_000n;
const JOINTS = ['panda_joint1', 'panda_joint2', 'ä'];

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-writer-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function point(value: number) {
  const none = new Float64Array(0);
  return {
    positions: Float64Array.of(value, -0, NaN),
    velocities: none,
    accelerations: none,
    effort: Float64Array.of(Infinity, 1e-308, value),
    time_from_start: { sec: value, nanosec: 999_999_999 },
  };
}

function trajectory(index: number) {
  const header = { stamp: { sec: 1_700_000_000 + index, nanosec: index }, frame_id: 'base' };
  return { header, joint_names: JOINTS, points: Array.from({ length: 50 }, (_, row) => point(row + index)) };
}

interface Seen {
  readonly topics: Record<string, { type: string; count: number; encoding: string; definition: string; same: boolean }>;
  readonly messages: [topic: string, time: string, value: unknown][];
}

function seenByRosbags(path: string): Seen {
  // Python writes NaN and Infinity, which JSON does not know.
  const text = python('read_bag.py', path).replace(/\b(NaN|Infinity)\b/g, '"$1"');
  return JSON.parse(text) as Seen;
}

/** As JSON has it after rosbags read it. */
function plain(value: unknown): unknown {
  if (value instanceof Float64Array) return Array.from(value, (x) => (Number.isFinite(x) ? x : String(x)));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
  }
  return value;
}

async function write(path: string, count: number): Promise<void> {
  const writer = await BagWriter.create(path);
  await writer.declare('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray');
  for (let index = 0; index < count; index++) {
    const time = START + BigInt(index) * 20_000_000n;
    await writer.write('/policy_node/chunk', TRAJECTORY, time, encodeJointTrajectory(trajectory(index)));
    const array = encodeFloat64MultiArray({ layout: { dim: [], data_offset: 0 }, data: Float64Array.of(index, 0.5) });
    await writer.write('commands', ARRAY, time + 1n, array);
  }
  await writer.close();
}

test('rosbags_reads_what_was_written_by_the_definitions_in_the_bag', async () => {
  const path = join(directory, 'written.mcap');
  await write(path, 300);
  const { topics, messages } = seenByRosbags(path);
  const about = Object.entries(topics).map(([topic, { type, count, encoding, same }]) => [
    topic,
    type,
    count,
    encoding,
    same,
  ]);
  expect(about.sort()).toEqual([
    ['/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', 0, 'cdr', true],
    ['/policy_node/chunk', TRAJECTORY, 300, 'cdr', true],
    ['commands', ARRAY, 300, 'cdr', true],
  ]);
  expect(messages.length).toBe(600);
  for (let index = 0; index < 300; index++) {
    const time = START + BigInt(index) * 20_000_000n;
    expect(messages[2 * index]).toEqual(['/policy_node/chunk', String(time), plain(trajectory(index))]);
    const array = { layout: { dim: [], data_offset: 0 }, data: [index, 0.5] };
    expect(messages[2 * index + 1]).toEqual(['commands', String(time + 1n), array]);
  }
});

test('what_was_written_is_read_back_by_index_with_the_same_values', async () => {
  const path = join(directory, 'back.mcap');
  await write(path, 100);
  const bag = await openBag(path);
  expect([bag.damage, bag.notes, bag.startTime]).toEqual([undefined, [], START]);
  expect(bag.topics.get('/diagnostics')).toEqual(
    expect.objectContaining({ type: 'diagnostic_msgs/msg/DiagnosticArray', count: 0 }),
  );
  let index = 0;
  for await (const { topic, data } of bag.messages(new Set(['/policy_node/chunk', 'commands']))) {
    if (topic === 'commands') {
      expect(decodeFloat64MultiArray(data, topic).data).toEqual(Float64Array.of(index++, 0.5));
      continue;
    }
    const wanted = trajectory(index);
    expect(decodeJointTrajectory(data, topic)).toEqual(wanted);
  }
  expect(index).toBe(100);
  await bag.close();
});

test('it_is_a_ros2_mcap_with_messages_in_sequence', async () => {
  const path = join(directory, 'sequence.mcap');
  await write(path, 5);
  const handle = await open(path, 'r');
  const reader = await McapIndexedReader.Initialize({ readable: new FileHandleReadable(handle) });
  expect(reader.header.profile).toBe('ros2');
  const sequences: number[] = [];
  for await (const { sequence } of reader.readMessages()) sequences.push(sequence);
  expect(sequences).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
  await handle.close();
});

test('the_same_messages_give_the_same_bytes', async () => {
  await write(join(directory, 'one.mcap'), 20);
  await write(join(directory, 'two.mcap'), 20);
  expect(readFileSync(join(directory, 'one.mcap')).equals(readFileSync(join(directory, 'two.mcap')))).toBe(true);
});

test('the_file_has_its_name_only_when_it_is_complete', async () => {
  const path = join(directory, 'late.mcap');
  writeFileSync(path, 'an earlier one');
  const writer = await BagWriter.create(path);
  await writer.write('a', 'std_msgs/msg/String', 1n, Uint8Array.of(0, 1, 0, 0, 1, 0, 0, 0, 0));
  expect(readFileSync(path, 'utf8')).toBe('an earlier one');
  await writer.close();
  expect((await openBag(path)).topics.get('a')?.count).toBe(1);
  const given = await BagWriter.create(path);
  given.discard();
  expect(readdirSync(directory).filter((name) => name.startsWith('late'))).toEqual(['late.mcap']);
  expect((await openBag(path)).topics.get('a')?.count).toBe(1);
});

test('a_path_that_cannot_be_written_is_refused', async () => {
  const path = join(directory, 'none', 'out.mcap');
  await expect(BagWriter.create(path)).rejects.toThrow(`Expected to write ${path}: ENOENT`);
  mkdirSync(join(directory, 'taken.mcap'));
  await expect(BagWriter.create(join(directory, 'taken.mcap'))).rejects.toMatchObject({ code: 'BAG_FILE' });
  expect(existsSync(join(directory, 'taken.mcap.new'))).toBe(false);
});

test('an_unknown_type_and_a_second_type_for_a_topic_are_refused', async () => {
  const writer = await BagWriter.create(join(directory, 'types.mcap'));
  await expect(writer.write('a', 'my_msgs/msg/Own', 1n, new Uint8Array())).rejects.toThrow(
    'Expected a common message type of ROS 2, received my_msgs/Own',
  );
  await writer.write('a', ARRAY, 1n, new Uint8Array());
  await expect(writer.write('a', TRAJECTORY, 1n, new Uint8Array())).rejects.toThrow(
    `Expected ${ARRAY} for a, received ${TRAJECTORY}`,
  );
  writer.discard();
});

test('definitions_carry_every_type_once_in_the_form_of_ros2msg', () => {
  const text = messageDefinition('diagnostic_msgs/msg/DiagnosticArray');
  const parts = text.split(`${'='.repeat(80)}\n`);
  expect(parts.map((part) => /^MSG: (.*)\n/.exec(part)?.[1])).toEqual([
    undefined,
    'std_msgs/Header',
    'diagnostic_msgs/DiagnosticStatus',
    'builtin_interfaces/Time',
    'diagnostic_msgs/KeyValue',
  ]);
});
