import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { McapWriter, type McapWriterOptions } from '@mcap/core';
import { FileHandleWritable } from '@mcap/nodejs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openBag } from '../../../../src/replay/bag/bag.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-mcap-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function logTimeOf(index: number): bigint {
  return BigInt(index % 2 === 0 ? index + 5 : index);
}

/** Messages of two topics, a little out of order, in chunks of a few or in none. @returns their topics and texts by time. */
async function writeMcap(path: string, options: Partial<McapWriterOptions>): Promise<Map<bigint, string>> {
  const handle = await open(path, 'w');
  const writer = new McapWriter({ writable: new FileHandleWritable(handle), chunkSize: 500, ...options });
  await writer.start({ profile: 'ros2', library: '' });
  const schema = { name: 'std_msgs/msg/String', encoding: 'ros2msg', data: new Uint8Array() };
  const schemaId = await writer.registerSchema(schema);
  const channels: number[] = [];
  for (const topic of ['a', 'b']) {
    channels.push(await writer.registerChannel({ topic, schemaId, messageEncoding: 'cdr', metadata: new Map() }));
  }
  const written = new Map<bigint, string>();
  for (let index = 0; index < 100; index++) {
    const logTime = logTimeOf(index);
    const channel = index < 30 ? 0 : index % 2;
    written.set(logTime, `${'ab'[channel]} ${index}`);
    const data = Buffer.from(`\0\u0001\0\0${index}`.padEnd(20 + index));
    await writer.addMessage({ channelId: channels[channel]!, sequence: index, logTime, publishTime: 0n, data });
  }
  await writer.end();
  await handle.close();
  return written;
}

test.each([
  ['everything', {}, true],
  ['no chunks', { useChunks: false }, false],
  ['no message indexes', { useMessageIndex: false }, false],
  ['no chunk indexes', { useChunkIndex: false }, false],
  ['no statistics', { useStatistics: false }, false],
  ['channels only where they are used', { repeatChannels: false }, false],
  ['schemas only where they are used', { repeatSchemas: false }, false],
  ['no summary offsets', { useSummaryOffsets: false }, true],
])('an MCAP file with %s gives every message with its topic and type', async (name, options, isIndexed) => {
  const path = join(directory, `${name}.mcap`);
  const written = await writeMcap(path, options);
  const bag = await openBag(path);
  const read = new Map<bigint, string>();
  for await (const { topic, type, logTime, data } of bag.messages(new Set(['a', 'b']))) {
    expect(type).toBe('std_msgs/msg/String');
    read.set(logTime, `${topic} ${Buffer.from(data.subarray(4)).toString().trim()}`);
  }
  expect([...read]).toEqual([...written].sort(([a], [b]) => Number(a - b)));
  expect([bag.startTime, bag.endTime, bag.topics.get('a')?.count]).toEqual([1n, 103n, 65]);
  expect([bag.damage, bag.notes.length]).toEqual([undefined, isIndexed ? 0 : 1]);
  await bag.close();
});

test('messages_before_a_damaged_chunk_are_read_from_a_file_without_message_indexes', async () => {
  const path = join(directory, 'damaged.mcap');
  await writeMcap(path, { useMessageIndex: false });
  const bytes = readFileSync(path);
  bytes[bytes.indexOf('\0\u0001\0\u000050') + 4]! ^= 1;
  writeFileSync(path, bytes);
  const bag = await openBag(path);
  const times: bigint[] = [];
  for await (const { logTime } of bag.messages(new Set(['a', 'b']))) times.push(logTime);
  expect(times.length).toBeGreaterThan(30);
  const first = Array.from(times, (_, index) => logTimeOf(index));
  expect(times).toEqual(first.sort((a, b) => Number(a - b)));
  expect(bag.damage).toMatch(
    new RegExp(`^Expected checksum .*, and the ${times.length} messages that precede it are read$`),
  );
  expect(bag.notes).toEqual([]);
  await bag.close();
});
