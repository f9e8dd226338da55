import { expect, test } from '@jest/globals';
import { approximateTimeSync, newestStamp } from '../../../src/observation/approximate-time-sync.js';
import { History } from '../../../src/observation/history.js';
import type { Stamped } from '../../../src/observation/history.js';
import { random } from '../pipeline/robot.js';

/** Exhaustive search: the newest stamp first, then each stream as new as possible. */
function oracle(streams: readonly (readonly Stamped[])[], maxSkew: bigint): bigint[] | undefined {
  let best: bigint[] | undefined;
  const visit = (chosen: bigint[]): void => {
    if (chosen.length < streams.length) {
      for (const { stamp } of streams[chosen.length]!) visit([...chosen, stamp]);
      return;
    }
    const ordered = chosen.toSorted((a, b) => Number(a - b));
    if (ordered.at(-1)! - ordered[0]! > maxSkew) return;
    if (best === undefined) best = chosen;
    const newest = (set: readonly bigint[]): bigint => set.reduce((a, b) => (a > b ? a : b));
    const sum = (set: readonly bigint[]): bigint => set.reduce((a, b) => a + b);
    if (newest(chosen) > newest(best) || (newest(chosen) === newest(best) && sum(chosen) > sum(best))) best = chosen;
  };
  visit([]);
  return best;
}

test('the_set_is_the_one_that_an_exhaustive_search_finds', () => {
  const next = random(7);
  let found = 0;
  const wrong: unknown[] = [];
  for (let round = 0; round < 3000; round++) {
    const streams = Array.from({ length: 1 + Math.floor(next() * 4) }, () => {
      const stamps = new Set(Array.from({ length: Math.floor(next() * 6) }, () => BigInt(Math.floor(next() * 60))));
      return [...stamps].toSorted((a, b) => Number(a - b)).map((stamp) => ({ stamp }));
    });
    const maxSkew = BigInt(Math.floor(next() * 20));
    const set = approximateTimeSync(streams, maxSkew);
    if (set) found++;
    if (String(set?.map(({ stamp }) => stamp)) !== String(oracle(streams, maxSkew))) wrong.push({ streams, maxSkew });
  }
  expect(wrong).toEqual([]);
  expect(found).toBeGreaterThan(1000);
  expect(found).toBeLessThan(2900);
});

test('skew_of_exactly_the_maximum_agrees_and_one_nanosecond_more_does_not', () => {
  const streams = [[{ stamp: 0n }], [{ stamp: 50n }]];
  expect(approximateTimeSync(streams, 50n)).toHaveLength(2);
  expect(approximateTimeSync(streams, 49n)).toBeUndefined();
});

test('a_sets_stamp_is_its_newest', () => {
  expect(newestStamp([{ stamp: 3n }, { stamp: 9n }, { stamp: 5n }])).toBe(9n);
});

test('a_history_is_in_the_order_of_stamps_whatever_the_order_of_arrival', () => {
  const history = new History<Stamped>(100);
  for (const stamp of [5n, 3n, 9n, 4n]) history.add({ stamp }, 1);
  expect(history.items.map(({ stamp }) => stamp)).toEqual([3n, 4n, 5n, 9n]);
  expect(history.newest).toEqual({ stamp: 9n });
});

test('a_message_with_a_stamp_already_seen_replaces_the_earlier_one', () => {
  const history = new History<Stamped & { value: string }>(100);
  history.add({ stamp: 1n, value: 'first' }, 1);
  history.add({ stamp: 1n, value: 'second' }, 1);
  expect(history.items).toEqual([{ stamp: 1n, value: 'second' }]);
});

test('a_message_that_replaces_another_also_replaces_its_size', () => {
  const history = new History<Stamped>(10);
  for (let stamp = 1n; stamp <= 3n; stamp++) history.add({ stamp }, 1);
  for (let i = 0; i < 20; i++) history.add({ stamp: 3n }, 1);
  expect(history.items).toHaveLength(3);
});

test('a_history_drops_its_oldest_beyond_its_capacity_but_keeps_two', () => {
  const history = new History<Stamped>(10);
  for (let stamp = 1n; stamp <= 8n; stamp++) history.add({ stamp }, 3);
  expect(history.items.map(({ stamp }) => stamp)).toEqual([6n, 7n, 8n]);
  for (let stamp = 9n; stamp <= 12n; stamp++) history.add({ stamp }, 1000);
  expect(history.items.map(({ stamp }) => stamp)).toEqual([11n, 12n]);
  history.clear();
  for (let stamp = 1n; stamp <= 4n; stamp++) history.add({ stamp }, 3);
  expect(history.items).toHaveLength(3);
});

test('a_history_removes_items_older_than_the_given_stamp', () => {
  const history = new History<Stamped>(100);
  for (let stamp = 1n; stamp <= 4n; stamp++) history.add({ stamp }, 1);
  history.removeBefore(3n);
  expect(history.items.map(({ stamp }) => stamp)).toEqual([3n, 4n]);
});
