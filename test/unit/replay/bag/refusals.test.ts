import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Pi05Error } from '../../../../src/errors.js';
import { readBag, writeBags, type Bags } from './bags.js';

let bags: Bags;
beforeAll(() => {
  bags = writeBags();
}, 120_000);
afterAll(() => bags.remove());

async function refusal(path: string): Promise<string> {
  const { error } = await readBag(path).catch((error: Error) => ({ error }));
  if (error instanceof Pi05Error) return error.toString();
  throw new Error(`not refused: ${String(error)}`);
}

/** A file of these bytes. @returns its path. */
function file(name: string, bytes: Uint8Array | string): string {
  writeFileSync(bags.path(name), bytes);
  return bags.path(name);
}

test('a_missing_bag_is_refused', async () => {
  expect(await refusal(bags.path('none'))).toBe(`BAG_FILE: Expected a bag at ${bags.path('none')}: it does not exist`);
});

test('a_pipe_and_a_device_are_refused_without_waiting_for_them', async () => {
  execFileSync('mkfifo', [bags.path('pipe.mcap')]);
  for (const path of [bags.path('pipe.mcap'), '/dev/zero']) {
    expect(await refusal(path)).toBe(`BAG_FILE: Expected a regular file at ${path}`);
  }
});

test.each([
  ['empty.mcap', '', 'an empty file'],
  ['short.db3', 'SQLite', 'a file of 6 bytes'],
  ['ros1.bag', '#ROSBAG V2.0\nE\0\0\0', 'a bag of ROS 1, which rosbags-convert can convert'],
  ['text.mcap', 'a file of plain text', 'a file of another format'],
])('%s is refused as no bag', async (name, content, received) => {
  const path = file(name, content);
  const expected = `BAG_FILE: Expected an MCAP or SQLite file of ROS 2 in ${path}, received ${received}`;
  expect(await refusal(path)).toBe(expected);
});

test('random_bytes_after_the_first_of_each_kind_are_refused', async () => {
  const heads = {
    mcap: Buffer.from([0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a]),
    sqlite: Buffer.from('SQLite format 3\0'),
    zstd: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
  };
  for (const [kind, head] of Object.entries(heads)) {
    for (const size of [0, 1, 100, 5000]) {
      const path = file(`random_${kind}_${size}`, Buffer.concat([head, randomBytes(size)]));
      expect(await refusal(path)).toMatch(/^BAG_FILE: Expected /);
    }
  }
});

test('a_directory_without_a_bag_and_one_whose_files_are_gone_are_refused', async () => {
  mkdirSync(bags.path('directory'));
  writeFileSync(bags.path('directory', 'notes.txt'), '');
  expect(await refusal(bags.path('directory'))).toBe(
    `BAG_FILE: Expected metadata.yaml, .mcap or .db3 files in the directory ${bags.path('directory')}, found none`,
  );
  writeFileSync(
    bags.path('directory', 'metadata.yaml'),
    'rosbag2_bagfile_information:\n  storage_identifier: simplefile\n  relative_file_paths: [a.simple]\n',
  );
  expect(await refusal(bags.path('directory'))).toBe(
    `BAG_FILE: Expected the files of ${bags.path('directory', 'metadata.yaml')} in its directory: it lists a.simple (storage simplefile), and the directory has no bag file`,
  );
});

test('an_unknown_storage_plugin_is_named', async () => {
  mkdirSync(bags.path('plugin'));
  writeFileSync(bags.path('plugin', 'a.simple'), 'a format of its own');
  const metadata = bags.path('plugin', 'metadata.yaml');
  writeFileSync(
    metadata,
    'rosbag2_bagfile_information:\n  storage_identifier: simplefile\n  relative_file_paths: [a.simple]\n',
  );
  expect(await refusal(bags.path('plugin'))).toBe(
    `BAG_FILE: Expected storage mcap or sqlite3 in ${metadata}, received simplefile`,
  );
});

test('an_unknown_compression_is_named', async () => {
  mkdirSync(bags.path('packed'));
  const metadata = bags.path('packed', 'metadata.yaml');
  writeFileSync(
    metadata,
    'rosbag2_bagfile_information:\n  storage_identifier: mcap\n  relative_file_paths: [a.mcap.gz]\n  compression_format: gz\n  compression_mode: FILE\n',
  );
  expect(await refusal(bags.path('packed'))).toBe(
    `BAG_FILE: Expected no compression or zstd in ${metadata}, received gz`,
  );
});

test('an_unknown_compression_of_chunks_is_named', async () => {
  expect(await refusal(bags.path('scan_lzma.mcap'))).toMatch(
    /^BAG_DATA: Expected a compression of bz2, lz4, zstd for the chunk at byte \d+ of .*scan_lzma\.mcap, received lzma/,
  );
});

test.each(['scan_empty.mcap', 'sqlite_no_messages.db3'])('%s has no messages and is refused', async (name) => {
  const path = bags.path(name);
  expect(await refusal(path)).toBe(`BAG_FILE: Expected messages in ${path}, received a bag without any`);
});

test('a_database_of_something_else_is_refused', async () => {
  const path = bags.path('sqlite_foreign.db3');
  expect(await refusal(path)).toBe(
    `BAG_FILE: Expected the tables of a ROS 2 bag in ${path}, received none: no such table: topics`,
  );
});

test('another_serialisation_is_refused_but_one_topic_of_it_only_when_it_is_wanted', async () => {
  const path = bags.path('sqlite_ros1.db3');
  expect(await refusal(path)).toBe(`BAG_FILE: Expected messages in cdr in ${path}, received ros1`);
  const mixed = bags.path('sqlite_one_json.db3');
  expect(await refusal(mixed)).toBe('BAG_DATA: Expected messages in cdr on prompt, received json');
  expect((await readBag(mixed, ['joint_states'])).messages.length).toBe(800);
});

test('a_topic_of_two_types_is_refused', async () => {
  const path = bags.path('sqlite_two_types.db3');
  expect(await refusal(path)).toBe(
    `BAG_DATA: Expected messages of one type on prompt in ${path}, received std_msgs/msg/String (cdr) and std_msgs/msg/Bool (cdr)`,
  );
});

test('a_row_that_holds_no_bytes_is_refused_after_those_before_it', async () => {
  const { messages, error } = await readBag(bags.path('sqlite_text.db3'));
  expect(messages).toEqual(bags.expected.slice(0, messages.length));
  expect(String(error)).toBe(
    `BAG_DATA: Expected messages in ${bags.path('sqlite_text.db3')}: row 500 has no timestamp or no data, after ${messages.length} messages were read`,
  );
});
