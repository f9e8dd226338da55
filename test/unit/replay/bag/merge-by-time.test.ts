import { expect, test } from '@jest/globals';
import type { BagMessage } from '../../../../src/replay/bag/bag.js';
import { mergeByTime, type Source } from '../../../../src/replay/bag/merge-by-time.js';

/** A source that logs when it is opened and left. */
function source(name: string, startTime: bigint | undefined, times: readonly bigint[], log: string[]): Source {
  return {
    startTime,
    async *messages(): AsyncGenerator<BagMessage, void, void> {
      log.push(`open ${name}`);
      try {
        for (const logTime of times) {
          yield await Promise.resolve({ topic: name, type: '', logTime, data: new Uint8Array() });
        }
      } finally {
        log.push(`leave ${name}`);
      }
    },
  };
}

async function merged(sources: Source[], log: string[], count = Infinity): Promise<void> {
  let read = 0;
  for await (const { topic, logTime } of mergeByTime(sources)) {
    log.push(`${topic}${logTime}`);
    if (++read === count) break;
  }
}

test('a_source_is_opened_when_its_time_has_come_and_left_when_it_is_empty', async () => {
  const log: string[] = [];
  await merged([source('b', 4n, [4n, 6n], log), source('a', 1n, [1n, 5n], log), source('c', 9n, [9n], log)], log);
  expect(log).toEqual('open a,a1,open b,b4,a5,leave a,b6,leave b,open c,c9,leave c'.split(','));
});

test('equal_times_come_in_the_order_of_the_sources', async () => {
  const log: string[] = [];
  await merged([source('a', 3n, [3n, 3n], log), source('b', 1n, [1n, 3n], log)], log);
  expect(log.filter((line) => /\d/.test(line))).toEqual(['b1', 'a3', 'a3', 'b3']);
});

test('sources_without_a_known_start_are_opened_first_and_empty_ones_do_no_harm', async () => {
  const log: string[] = [];
  await merged([source('a', 2n, [2n], log), source('b', undefined, [7n], log), source('c', 0n, [], log)], log);
  expect(log.filter((line) => /\d/.test(line))).toEqual(['a2', 'b7']);
});

test('all_sources_are_left_when_the_reader_leaves_and_when_one_fails', async () => {
  const log: string[] = [];
  await merged([source('a', 1n, [1n, 5n], log), source('b', 1n, [2n, 6n], log)], log, 2);
  expect(log.slice(-2).sort()).toEqual(['leave a', 'leave b']);
  const failing: Source = {
    startTime: 3n,
    // eslint-disable-next-line require-yield, @typescript-eslint/require-await
    async *messages() {
      throw new Error('damaged');
    },
  };
  const failed: string[] = [];
  await expect(merged([source('a', 1n, [1n, 2n, 5n], failed), failing], failed)).rejects.toThrow('damaged');
  expect(failed).toEqual(['open a', 'a1', 'a2', 'leave a']);
});
