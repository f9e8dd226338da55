import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { approximateTimeSync, newestStamp } from '../../../src/observation/approximate-time-sync.js';
import { History, oldestStamp } from '../../../src/observation/history.js';
import type { Stamped } from '../../../src/observation/history.js';

/** Exhaustive search: the newest stamp first, then each stream as new as possible. */
function oracle(streams: readonly (readonly Stamped[])[], maxSkew: bigint): Stamped[] | undefined {
  let best: Stamped[] | undefined;
  const visit = (chosen: Stamped[]): void => {
    if (chosen.length < streams.length) {
      for (const item of streams[chosen.length]!) visit([...chosen, item]);
      return;
    }
    const oldest = chosen.map(oldestStamp).reduce((a, b) => (a < b ? a : b));
    if (newestStamp(chosen) - oldest > maxSkew) return;
    const sum = (set: readonly Stamped[]): bigint => set.reduce((total, { stamp }) => total + stamp, 0n);
    const isNewer =
      best === undefined ||
      newestStamp(chosen) > newestStamp(best) ||
      (newestStamp(chosen) === newestStamp(best) && sum(chosen) > sum(best));
    if (isNewer) best = chosen;
  };
  visit([]);
  return best;
}

/** Up to five items, oldest first. The capture times of an item of several follow those of the item before it. */
const stream = fc
  .array(fc.record({ gap: fc.integer({ min: 1, max: 20 }), span: fc.integer({ min: 0, max: 15 }) }), { maxLength: 5 })
  .map((items) => {
    let [stamp, oldest] = [0, 0];
    return items.map(({ gap, span }): Stamped => {
      stamp += gap;
      oldest = Math.max(oldest, stamp - span);
      return { stamp: BigInt(stamp), oldest: BigInt(oldest) };
    });
  });

test('the_set_is_the_one_that_an_exhaustive_search_finds', () => {
  let found = 0;
  const streams = fc.array(stream, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(streams, fc.bigInt({ min: 0n, max: 20n }), (items, maxSkew) => {
      const set = approximateTimeSync(items, maxSkew);
      if (set !== undefined) found++;
      expect(set).toEqual(oracle(items, maxSkew));
    }),
    { seed: 7, numRuns: 3000 },
  );
  expect(found).toBeGreaterThan(600);
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
