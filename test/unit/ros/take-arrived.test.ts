import { expect, test } from '@jest/globals';
import type { Subscription } from '../../../src/ros/rcl.js';
import { type NativeRcl, takeArrived } from '../../../src/ros/rclnodejs-internals.js';

/** What is taken of a queue of messages, and what stays in it. */
function taken(queue: readonly string[], limit: number): { taken: string[]; left: string[] } {
  const left = [...queue];
  const native: NativeRcl = {
    getParameterOverrides: () => undefined,
    rclTakeRaw: () => (left.length > 0 ? Buffer.from(left.shift()!) : undefined),
  };
  return { taken: takeArrived(native, {} as Subscription, limit).map(String), left };
}

test('all_messages_that_have_arrived_are_taken_oldest_first', () => {
  expect(taken(['a', 'b', 'c'], 50)).toEqual({ taken: ['a', 'b', 'c'], left: [] });
  expect(taken([], 50)).toEqual({ taken: [], left: [] });
});

test('a_publisher_that_is_faster_than_they_are_taken_does_not_hold_the_tick', () => {
  expect(taken(['a', 'b', 'c'], 2)).toEqual({ taken: ['a', 'b'], left: ['c'] });
});
