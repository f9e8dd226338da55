import { expect, test } from '@jest/globals';
import { DuplicateDeliveries } from '../../../src/ros/duplicate-deliveries.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** What passes of deliveries `[subscription, text, ms]`. */
function passed(...deliveries: readonly (readonly [0 | 1, string, number])[]): string[] {
  const duplicates = new DuplicateDeliveries();
  return deliveries
    .filter(([index, text, now]) => !duplicates.isSecond(index, bytes(text), now))
    .map(([, text]) => text);
}

test('a_message_of_both_subscriptions_passes_once_in_whichever_order_they_are_read', () => {
  expect(passed([0, 'a', 0], [1, 'a', 1])).toEqual(['a']);
  expect(passed([1, 'a', 0], [0, 'a', 1])).toEqual(['a']);
  expect(passed([0, 'a', 0], [0, 'b', 0], [1, 'a', 1], [1, 'b', 1])).toEqual(['a', 'b']);
  expect(passed([0, 'a', 0], [1, 'a', 0], [1, 'b', 1], [0, 'b', 1])).toEqual(['a', 'b']);
});

test('what_only_one_subscription_delivers_passes', () => {
  expect(passed([1, 'latched', 0], [0, 'b', 1])).toEqual(['latched', 'b']);
  expect(passed([0, 'a', 0], [0, 'b', 1], [0, 'a', 2])).toEqual(['a', 'b', 'a']);
});

test('an_equal_message_later_is_a_new_one', () => {
  expect(passed([0, 'a', 0], [0, 'b', 100], [1, 'a', 500])).toEqual(['a', 'b', 'a']);
});
