import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openBag } from '../../../../src/replay/bag/bag.js';
import { readBag, writeBags, type Bags } from './bags.js';

let bags: Bags;
beforeAll(() => {
  bags = writeBags();
}, 120_000);
afterAll(() => bags.remove());

const DIRECTORIES = [
  'mcap_none',
  'mcap_file',
  'mcap_message',
  'mcap_storage',
  'sqlite3_none',
  'sqlite3_file',
  'sqlite3_message',
  'split_mcap',
  'split_sqlite3_file',
];
const FILES = [
  'mcap_none/mcap_none.mcap',
  'mcap_file/mcap_file.mcap.zstd',
  'mcap_message/mcap_message.mcap',
  'sqlite3_none/sqlite3_none.db3',
  'sqlite3_file/sqlite3_file.db3.zstd',
  'sqlite3_message/sqlite3_message.db3',
  'sqlite_foxy.db3',
  'sqlite_no_index.db3',
];

test.each([...DIRECTORIES, ...FILES])(
  '%s gives the messages, bytes and times that rosbags gives, in their order',
  async (name) => {
    const { messages, damage, notes, error } = await readBag(bags.path(name));
    expect(messages).toEqual(bags.expected);
    expect({ damage, notes, error }).toEqual({ damage: undefined, notes: [], error: undefined });
  },
);

test.each(['scan_plain.mcap', 'scan_lz4.mcap', 'scan_zstd.mcap'])(
  '%s has no index, gives every message and reports the scan',
  async (name) => {
    const { messages, damage, notes, error } = await readBag(bags.path(name));
    expect(messages).toEqual(bags.expected);
    expect({ damage, error }).toEqual({ damage: undefined, error: undefined });
    const found = `its ${bags.expected.length} messages were found by a scan of the file`;
    expect(notes).toEqual([`${bags.path(name)} has no index; ${found}`]);
  },
);

test.each(['late_starts.mcap', 'late_starts_scan.mcap'])(
  '%s has chunks that begin before their stated time, and gives every message in its order with a note',
  async (name) => {
    const { messages, damage, notes, error } = await readBag(bags.path(name));
    expect(messages).toEqual(bags.expected);
    expect({ damage, error }).toEqual({ damage: undefined, error: undefined });
    expect(notes.at(-1)).toMatch(
      /^\S+: (a chunk begins|\d+ chunks begin) before the stated time; the times of the messages are used$/,
    );
  },
);

test.each(['no_schemas', 'no_schemas/mcap_none.mcap'])(
  '%s has channels without a schema, whose types come from metadata.yaml',
  async (name) => {
    const { messages, damage, notes, error } = await readBag(bags.path(name));
    expect(messages).toEqual(bags.expected);
    expect({ damage, error }).toEqual({ damage: undefined, error: undefined });
    expect(notes).toContain(
      `the files of ${bags.path(name)} have no type of joint_states, prompt, wrist_camera/image_raw; that of metadata.yaml is used`,
    );
    const bag = await openBag(bags.path(name));
    expect(bag.topics.get('prompt')?.type).toBe('std_msgs/msg/String');
    await bag.close();
  },
);

test.each(['two_types_mcap', 'two_types_sqlite3'])(
  '%s has a topic of two types, which is refused where it is read',
  async (name) => {
    const { messages, error } = await readBag(bags.path(name), ['wrist_camera/image_raw', 'joint_states', 'prompt']);
    expect(messages).toEqual(bags.expected);
    expect(error).toBeUndefined();
    const refused = await readBag(bags.path(name), ['joint_states', 'tf']);
    expect(refused.messages).toEqual([]);
    expect(String(refused.error)).toMatch(
      /^BAG_DATA: Expected messages of one type on tf in \S+, received \S+ \(cdr\) and/,
    );
  },
);

test.each(['mcap_none', 'scan_zstd.mcap', 'sqlite3_none', 'split_mcap'])(
  '%s gives only the wanted topics',
  async (name) => {
    const { messages } = await readBag(bags.path(name), ['prompt', 'joint_states', 'absent']);
    expect(messages).toEqual(bags.expected.filter(([topic]) => topic !== 'wrist_camera/image_raw'));
    expect((await readBag(bags.path(name), [])).messages).toEqual([]);
  },
);

test.each([...DIRECTORIES, 'scan_plain.mcap'])(
  '%s has its topics, counts and times before it is read',
  async (name) => {
    const bag = await openBag(bags.path(name));
    const times = bags.expected.map(([, , time]) => BigInt(time));
    const topics = Object.fromEntries([...bag.topics].map(([topic, { type, count }]) => [topic, { type, count }]));
    expect(topics).toEqual({
      'wrist_camera/image_raw': { type: 'sensor_msgs/msg/Image', count: 240 },
      joint_states: { type: 'sensor_msgs/msg/JointState', count: 800 },
      prompt: { type: 'std_msgs/msg/String', count: 7 },
    });
    expect([bag.startTime, bag.endTime]).toEqual([times[0], times.at(-1)]);
    await bag.close();
  },
);

test('a_bag_can_be_read_twice_and_reading_can_end_early', async () => {
  for (const name of ['mcap_storage', 'sqlite3_none', 'split_mcap']) {
    const bag = await openBag(bags.path(name));
    const all = new Set(bag.topics.keys());
    for (const stop of [3, 2000]) {
      const times: string[] = [];
      for await (const { logTime } of bag.messages(all)) {
        times.push(String(logTime));
        if (times.length === stop) break;
      }
      expect(times).toEqual(bags.expected.slice(0, stop).map(([, , time]) => time));
    }
    await bag.close();
  }
});

test('nothing_is_left_next_to_the_bag_or_in_the_temporary_directory', async () => {
  const leftovers = () => readdirSync(tmpdir()).filter((name) => /^pi05-(bag-|[0-9a-f]{8}-)/.test(name));
  const before = leftovers();
  const bag = await openBag(bags.path('sqlite3_file'));
  const plain = await openBag(bags.path('sqlite3_none'));
  expect(readdirSync(bags.path('sqlite3_none')).sort()).toEqual(['metadata.yaml', 'sqlite3_none.db3']);
  expect(leftovers()).toEqual(before);
  await bag.close();
  await plain.close();
});

test('rows_that_are_still_in_a_write_ahead_log_are_read', async () => {
  const { messages } = await readBag(bags.path('sqlite_wal.db3'));
  expect(messages.length).toBe(1000);
});

describe('metadata.yaml', () => {
  const copy = (name: string): string => {
    const directory = bags.path(`${name}_copy`);
    rmSync(directory, { recursive: true, force: true });
    cpSync(bags.path(name), directory, { recursive: true });
    return directory;
  };

  test('is_not_needed_and_its_absence_is_reported', async () => {
    const directory = copy('split_mcap');
    rmSync(join(directory, 'metadata.yaml'));
    const { messages, damage, notes } = await readBag(directory);
    expect(messages).toEqual(bags.expected);
    expect(damage).toBeUndefined();
    expect(notes).toEqual([`${directory} has no metadata.yaml; its 3 .mcap and .db3 files are read`]);
  });

  test.each([
    ['not yaml', '\t{'],
    ['of something else', 'a: 1\n'],
    ['empty', ''],
  ])('that is %s is reported and not needed', async (_, text) => {
    const directory = copy('mcap_none');
    writeFileSync(join(directory, 'metadata.yaml'), text);
    const { messages, notes } = await readBag(directory);
    expect(messages).toEqual(bags.expected);
    expect(notes[0]).toContain('has a metadata.yaml that cannot be read');
  });

  test('that_names_another_storage_or_other_files_or_counts_is_reported', async () => {
    const directory = copy('mcap_none');
    const metadata = (files: string, count: number) =>
      `rosbag2_bagfile_information:\n  storage_identifier: sqlite3\n  relative_file_paths: [${files}]\n  message_count: ${count}\n`;
    writeFileSync(join(directory, 'metadata.yaml'), metadata('elsewhere/mcap_none.mcap, mcap_none.mcap', 5));
    const counted = await readBag(directory);
    expect(counted.messages).toEqual(bags.expected);
    expect(counted.notes).toEqual([
      `${join(directory, 'metadata.yaml')} lists 5 messages, the files hold ${bags.expected.length}`,
    ]);
    writeFileSync(join(directory, 'metadata.yaml'), metadata('gone.db3', 5));
    const renamed = await readBag(directory);
    expect(renamed.messages).toEqual(bags.expected);
    expect(renamed.notes).toEqual([
      `${join(directory, 'metadata.yaml')} lists only missing files; mcap_none.mcap is read instead`,
    ]);
  });

  test('that_lists_a_missing_file_or_omits_one_is_reported', async () => {
    const directory = copy('split_mcap');
    rmSync(join(directory, 'bag_1.mcap'));
    cpSync(join(directory, 'bag_0.mcap'), join(directory, 'bag_9.mcap'));
    const { messages, damage, notes } = await readBag(directory);
    expect(messages.length).toBe(bags.expected.length - 400);
    expect(damage).toBe(`Expected the files that ${join(directory, 'metadata.yaml')} lists, missing: bag_1.mcap`);
    expect(notes).toEqual([`${join(directory, 'metadata.yaml')} does not list bag_9.mcap, which is not read`]);
  });
});
