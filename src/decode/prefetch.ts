/** The first item is waited for when more than this many are in progress. libuv decodes images on four threads. */
const MAX_PENDING = 4;
/** The first item is also waited for when more than this many results are queued. */
const MAX_QUEUED = 64;

/**
 * Reads ahead in `source` so that several items are processed at a time, and yields the results in the source's order.
 * A result that is no promise is yielded without waiting where nothing before it is in progress. The queue is bounded.
 * @param start begins to process an item. A promise that rejects makes the generator throw where its result would be yielded.
 */
export async function* prefetch<T, R>(
  source: AsyncIterable<T>,
  start: (item: T) => R | Promise<R>,
): AsyncGenerator<R, void, void> {
  const queue: (R | Promise<R>)[] = [];
  let pending = 0;
  for await (const item of source) {
    const result = start(item);
    queue.push(result);
    if (result instanceof Promise) {
      pending++;
      // The rejection is thrown by `await` below; until then it must not count as unhandled.
      result.catch(() => {});
    }
    while (queue.length > 0 && (!(queue[0] instanceof Promise) || pending > MAX_PENDING || queue.length > MAX_QUEUED)) {
      const next = queue.shift()!;
      if (next instanceof Promise) pending--;
      yield await next;
    }
  }
  for (const result of queue) yield await result;
}
