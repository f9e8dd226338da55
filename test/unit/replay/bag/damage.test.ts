import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Pi05Error } from '../../../../src/errors.js';
import { BagWriter } from '../../../../src/replay/bag/writer.js';
import { readBag, writeBags, type Bags, type Read, type Seen } from './bags.js';

let bags: Bags;
beforeAll(() => {
  bags = writeBags();
}, 120_000);
afterAll(() => bags.remove());

const MCAP_FILES = [
  'mcap_none/mcap_none.mcap',
  'mcap_storage/mcap_storage.mcap',
  'mcap_file/mcap_file.mcap.zstd',
  'mcap_message/mcap_message.mcap',
  'scan_plain.mcap',
  'scan_zstd.mcap',
  'scan_lz4.mcap',
];
const SQLITE_FILES = ['sqlite3_none/sqlite3_none.db3', 'sqlite3_file/sqlite3_file.db3.zstd'];
const FILES = [...MCAP_FILES, ...SQLITE_FILES];
const CUTS = 16;
/** Time-out for all cuts on a busy machine, ms. */
const LIMIT = 120_000;

/** The result of reading a file with these bytes; an error that is not of this project fails the test. */
async function outcome(bytes: Uint8Array): Promise<Read> {
  const path = bags.path('damaged');
  writeFileSync(path, bytes);
  const read = await readBag(path).catch((error: Error) => ({ messages: [], damage: undefined, notes: [], error }));
  if (read.error !== undefined && !(read.error instanceof Pi05Error)) throw read.error;
  return read;
}

/** The first messages that were written, in the order of their times. */
function firstWritten(count: number): Seen[] {
  const times = new Set(bags.written.slice(0, count));
  return bags.expected.filter(([, , time]) => times.has(time));
}

test.each(MCAP_FILES)(
  '%s cut anywhere gives the messages before the cut and reports it',
  async (name) => {
    const bytes = readFileSync(bags.path(name));
    const offsets = Array.from({ length: CUTS }, (_, cut) => Math.floor((bytes.length * cut) / CUTS) + (cut % 7));
    let most = 0;
    for (const offset of [...offsets, bytes.length - 40, bytes.length - 9, bytes.length - 1]) {
      const { messages, damage, error } = await outcome(bytes.subarray(0, offset));
      expect({ offset, messages }).toEqual({ offset, messages: firstWritten(messages.length) });
      if (error !== undefined) continue;
      const reported = damage === undefined ? 'nothing' : /the (\d+) messages that/.exec(damage)?.[1];
      const isWhole = messages.length === bags.expected.length;
      expect({ offset, reported }).toEqual({
        offset,
        reported: isWhole && damage === undefined ? 'nothing' : String(messages.length),
      });
      if (offset < 0.95 * bytes.length) most = Math.max(most, messages.length);
    }
    expect(most).toBeGreaterThan(0.5 * bags.expected.length);
  },
  LIMIT,
);

const RECOVER =
  'none of its messages is read; `sqlite3 FILE .recover | sqlite3 NEW.db3` writes what can be recovered to a new file';

test.each(SQLITE_FILES)('%s cut anywhere is rejected with the command that recovers it', async (name) => {
  const bytes = readFileSync(bags.path(name));
  for (const share of [0.1, 0.5, 0.9, 0.99]) {
    const { messages, error } = await outcome(bytes.subarray(0, Math.floor(bytes.length * share)));
    expect(messages).toEqual([]);
    expect(String(error)).toBe(
      `BAG_FILE: Expected a complete SQLite database in ${bags.path('damaged')}, received a damaged one (database disk image is malformed): ${RECOVER}`,
    );
  }
});

test('a_damaged_index_does_not_give_messages_out_of_the_order_of_time', async () => {
  const bytes = readFileSync(bags.path('sqlite3_none/sqlite3_none.db3'));
  const time = Buffer.alloc(8);
  time.writeBigInt64BE(BigInt(bags.written[500]!));
  const errors: string[] = [];
  // The time of one message in its row and in the index, 18 minutes later or earlier.
  for (let at = bytes.indexOf(time); at >= 0; at = bytes.indexOf(time, at + 1)) {
    const damaged = Buffer.from(bytes);
    damaged[at + 2]! ^= 1;
    errors.push(String((await outcome(damaged)).error));
  }
  expect(errors).toContainEqual(
    expect.stringMatching(
      /row \d+ of \d+ ns comes after one of \d+ ns: the index is damaged, after \d+ messages were read$/,
    ),
  );
});

test('a_damaged_database_of_a_split_bag_is_named_and_skipped', async () => {
  const directory = bags.path('split_damaged');
  mkdirSync(directory);
  const bytes = readFileSync(bags.path('sqlite3_none/sqlite3_none.db3'));
  writeFileSync(join(directory, 'split_0.db3'), bytes);
  for (const name of ['split_1.db3', 'split_2.db3']) writeFileSync(join(directory, name), bytes.subarray(0, 20_000));
  const { messages, damage, error } = await readBag(directory);
  expect(error).toBeUndefined();
  expect(messages).toEqual(bags.expected);
  const sentence = (name: string): string =>
    `Expected a complete SQLite database in ${join(directory, name)}, received a damaged one (database disk image is malformed): ${RECOVER}`;
  expect(damage).toBe(`${sentence('split_1.db3')}; ${sentence('split_2.db3')}`);
});

const MAGIC = Buffer.from([0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a]);

test.each<[string, (good: Buffer) => Uint8Array]>([
  ['zeros', () => new Uint8Array(4096)],
  ['nothing', () => new Uint8Array(0)],
  ['a start only', () => MAGIC],
  ['a start and zeros', () => Buffer.concat([MAGIC, new Uint8Array(4096)])],
  ['some first bytes', (good) => good.subarray(0, 30)],
  ['its middle only', (good) => good.subarray(1000)],
  ['noise', () => Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251)],
])('a_file_of_a_split_bag_that_has_%s_is_named_and_the_others_are_read', async (name, content) => {
  for (const [suffix, source, bad] of [
    ['mcap', 'mcap_none/mcap_none.mcap', 'split_1.mcap'],
    ['db3', 'sqlite3_none/sqlite3_none.db3', 'split_1.db3'],
    ['mcap', 'mcap_none/mcap_none.mcap', 'split_0.mcap'],
  ] as const) {
    const directory = bags.path(`split_${name}_${bad}`.replaceAll(' ', '_'));
    mkdirSync(directory);
    const bytes = readFileSync(bags.path(source));
    const good = bad === 'split_0.mcap' ? 'split_1' : 'split_0';
    writeFileSync(join(directory, `${good}.${suffix}`), bytes);
    writeFileSync(join(directory, bad), content(bytes));
    const { messages, damage, error } = await readBag(directory);
    expect(error).toBeUndefined();
    expect(messages).toEqual(bags.expected);
    expect(damage).toContain(join(directory, bad));
    expect(damage).not.toContain(good);
  }
});

test('damage_that_is_found_while_a_split_bag_is_read_does_not_stop_its_other_files', async () => {
  const directory = bags.path('split_later');
  mkdirSync(directory);
  const parts = [0, 1, 2].map((part) => join(directory, `split_${part}.mcap`));
  for (const [part, path] of parts.entries()) {
    const writer = await BagWriter.create(path);
    for (let i = 0; i < 40; i++) {
      await writer.write('a', 'std_msgs/msg/String', BigInt(100 * part + i), Buffer.alloc(100_000, i));
    }
    await writer.close();
  }
  const bytes = readFileSync(parts[1]!);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  writeFileSync(parts[1]!, bytes);
  const { messages, damage, error } = await readBag(directory);
  expect(error).toBeUndefined();
  const times = messages.map(([, , time]) => Number(time));
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect([times.filter((time) => time < 100).length, times.filter((time) => time >= 200).length]).toEqual([40, 40]);
  expect(damage).toMatch(
    /^Expected checksum \d+ for the chunk at byte \d+ of \S*split_1\.mcap, .*: the rest of that file is not read$/,
  );
});

test('a_split_bag_without_a_readable_file_is_refused', async () => {
  const directory = bags.path('split_zeros');
  mkdirSync(directory);
  for (const part of [0, 1]) writeFileSync(join(directory, `split_${part}.mcap`), new Uint8Array(100));
  await expect(readBag(directory)).rejects.toThrow(
    /^Expected an MCAP or SQLite file of ROS 2 in \S*split_0\.mcap, received/,
  );
});

test('a_write_ahead_log_that_cannot_be_copied_is_rejected_and_does_not_make_the_database_damaged', async () => {
  const directory = bags.path('split_log');
  mkdirSync(directory);
  const bytes = readFileSync(bags.path('sqlite3_none/sqlite3_none.db3'));
  for (const name of ['split_0.db3', 'split_1.db3']) writeFileSync(join(directory, name), bytes);
  mkdirSync(join(directory, 'split_1.db3-wal'));
  await expect(readBag(directory)).rejects.toThrow(/^Expected a bag at [^\n]*EISDIR/);
});

test.each(FILES)(
  '%s with changed bytes anywhere ends with messages or with an error of one sentence',
  async (name) => {
    const bytes = readFileSync(bags.path(name));
    for (let flip = 0; flip < CUTS; flip++) {
      const damaged = Buffer.from(bytes);
      const offset = (flip * 7919 * 31) % bytes.length;
      damaged.fill(flip % 2 === 0 ? 0xff : 0x00, offset, offset + 1 + (flip % 16));
      const { messages, error } = await outcome(damaged);
      expect(messages.length).toBeLessThanOrEqual(bags.expected.length);
      if (error !== undefined) expect(String(error)).toMatch(/^BAG_(FILE|DATA): Expected [^\n]+$/);
    }
  },
  LIMIT,
);

test.each(FILES)(
  '%s with its end overwritten by zeros ends',
  async (name) => {
    const bytes = readFileSync(bags.path(name));
    for (const share of [0.1, 0.5, 0.9, 0.999]) {
      const damaged = Buffer.from(bytes).fill(0, Math.floor(bytes.length * share));
      await outcome(damaged);
    }
  },
  LIMIT,
);

test('a_chunk_with_a_message_before_its_time_is_rejected', async () => {
  const writer = await BagWriter.create(bags.path('early.mcap'));
  for (const time of [100n, 200n]) await writer.write('a', 'std_msgs/msg/String', time, Buffer.alloc(10));
  await writer.close();
  const bytes = readFileSync(bags.path('early.mcap'));
  const time = Buffer.from([100, 0, 0, 0, 0, 0, 0, 0]);
  // Of the chunk, in its index and in the statistics; not in the message itself.
  const inMessage = bytes.indexOf(Buffer.concat([time, time]));
  for (let at = bytes.indexOf(time); at >= 0; at = bytes.indexOf(time, at + 1)) {
    if (at !== inMessage && at !== inMessage + 8) bytes[at] = 150;
  }
  const { messages, error } = await outcome(bytes);
  expect(messages).toEqual([]);
  expect(String(error)).toMatch(
    /^BAG_DATA: Expected no message before 150 ns at byte .*, received one of 100 ns, after 0 messages were read$/,
  );
});

test('a_changed_byte_in_a_chunk_is_found_by_its_checksum_after_the_chunks_before_it_are_read', async () => {
  const path = bags.path('checked.mcap');
  const writer = await BagWriter.create(path);
  for (let index = 0; index < 40; index++) {
    const data = Buffer.alloc(100_000, index);
    await writer.write('a', 'std_msgs/msg/String', BigInt(index), data);
  }
  await writer.close();
  const damaged = readFileSync(path);
  damaged[Math.floor(damaged.length / 2)]! ^= 1;
  const { messages, error } = await outcome(damaged);
  expect(messages.length).toBeGreaterThan(10);
  expect(messages.map(([, , time]) => time)).toEqual(messages.map((_, index) => String(index)));
  expect(String(error)).toMatch(
    /^BAG_DATA: Expected checksum \d+ for the chunk at byte \d+ of .*damaged, received \d+: it is damaged, after \d+ messages were read$/,
  );
});

test('consecutive_zstandard_frames_are_one_file', async () => {
  const path = bags.path('two_frames.mcap.zstd');
  expect((await readBag(path)).messages).toEqual(bags.expected);
});
