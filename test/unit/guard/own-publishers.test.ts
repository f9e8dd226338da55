import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { OwnPublishers } from '../../../src/guard/own-publishers.js';

let directory: string;
let socket: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-publishers-'));
  socket = join(directory, '0.policy_node.sock');
});
afterEach(() => rmSync(directory, { recursive: true }));

test('all_processes_with_the_same_socket_know_each_others_publishers_and_no_others', () => {
  const policy = new OwnPublishers(socket);
  expect(policy.has('01')).toBe(false);
  policy.add('01');
  policy.add('02');
  const guard = new OwnPublishers(socket);
  guard.add('03');
  expect(['01', '02', '03', '04', ''].map((prefix) => [policy.has(prefix), guard.has(prefix)])).toEqual([
    [true, true],
    [true, true],
    [true, true],
    [false, false],
    [false, false],
  ]);
  expect(new OwnPublishers(join(directory, 'other.sock')).has('01')).toBe(false);
});

test('a_long_file_is_shortened_to_the_newest_publishers', () => {
  const path = join(directory, '0.policy_node.publishers');
  writeFileSync(path, Array.from({ length: 1500 }, (_, i) => `${i}`.padStart(32, '0') + '\n').join(''));
  const publishers = new OwnPublishers(socket);
  publishers.add('aa');
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(102);
  expect(['1400', '1399', '1499'].map((i) => publishers.has(i.padStart(32, '0')))).toEqual([true, false, true]);
});
