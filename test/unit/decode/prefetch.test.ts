import { expect, test } from '@jest/globals';
import { prefetch } from '../../../src/decode/prefetch.js';
import { flushPromises } from '../pipeline/harness.js';

/** Promises by item, which the test resolves. */
class Work {
  readonly started: number[] = [];
  readonly #resolve = new Map<number, () => void>();

  start(item: number): Promise<number> {
    this.started.push(item);
    return new Promise((resolve) => this.#resolve.set(item, () => resolve(item)));
  }

  async complete(item: number): Promise<void> {
    this.#resolve.get(item)!();
    await flushPromises();
  }
}

async function* items(count: number): AsyncGenerator<number> {
  for (let item = 0; item < count; item++) {
    yield item;
    await Promise.resolve();
  }
}

/** Collects the results as they come. */
function collect<T>(results: AsyncIterable<T>): { readonly results: T[]; readonly done: Promise<void> } {
  const collected: T[] = [];
  const run = async (): Promise<void> => {
    for await (const result of results) collected.push(result);
  };
  return { results: collected, done: run() };
}

test('results_are_in_the_order_of_the_items_whatever_the_order_in_which_they_are_done', async () => {
  const work = new Work();
  const { results, done } = collect(prefetch(items(4), (item) => work.start(item)));
  await flushPromises();
  for (const item of [2, 3, 1]) await work.complete(item);
  expect(results).toEqual([]);
  await work.complete(0);
  await done;
  expect(results).toEqual([0, 1, 2, 3]);
});

test('several_items_are_in_progress_and_their_number_is_bounded', async () => {
  const work = new Work();
  const { results, done } = collect(prefetch(items(20), (item) => work.start(item)));
  await flushPromises();
  expect(work.started).toEqual([0, 1, 2, 3, 4]);
  await work.complete(0);
  expect(work.started).toEqual([0, 1, 2, 3, 4, 5]);
  for (let item = 1; item < 20; item++) await work.complete(item);
  await done;
  expect(results).toHaveLength(20);
});

test('the_number_of_items_queued_behind_one_in_progress_is_bounded', async () => {
  const work = new Work();
  let read = 0;
  const start = (item: number): number | Promise<number> => {
    read++;
    return item === 0 ? work.start(item) : item;
  };
  const { results, done } = collect(prefetch(items(200), start));
  await flushPromises();
  expect(read).toBe(65);
  await work.complete(0);
  await done;
  expect(results).toEqual(Array.from({ length: 200 }, (_, item) => item));
});

test('without_promises_nothing_is_read_ahead', async () => {
  const read: number[] = [];
  const generator = prefetch(items(3), (item) => {
    read.push(item);
    return item;
  });
  expect((await generator.next()).value).toBe(0);
  expect(read).toEqual([0]);
  await generator.return();
});

test('an_error_is_thrown_where_the_result_of_its_item_would_be_yielded', async () => {
  const { results, done } = collect(
    prefetch(items(3), (item) => (item === 1 ? Promise.reject(new Error('broken')) : Promise.resolve(item))),
  );
  await expect(done).rejects.toThrow('broken');
  expect(results).toEqual([0]);
});
