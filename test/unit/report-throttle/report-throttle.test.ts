import { expect, test } from '@jest/globals';
import { ReportThrottle } from '../../../src/report-throttle.js';

const MS = 1_000_000n;

test('the_first_report_is_due_and_then_one_per_second', () => {
  const throttle = new ReportThrottle();
  const due = [0n, 1n, 999n, 1000n, 1001n, 2500n, 3499n, 3500n].filter((at) => throttle.shouldReport('a', at * MS));
  expect(due).toEqual([0n, 1000n, 2500n, 3500n]);
});

test('keys_are_independent', () => {
  const throttle = new ReportThrottle();
  expect([throttle.shouldReport('a', 0n), throttle.shouldReport('b', 0n), throttle.shouldReport('a', 1n)]).toEqual([
    true,
    true,
    false,
  ]);
});

test('a_cleared_key_is_due_at_once', () => {
  const throttle = new ReportThrottle();
  throttle.shouldReport('a', 0n);
  throttle.shouldReport('b', 0n);
  throttle.clear('a');
  expect([throttle.shouldReport('a', 1n), throttle.shouldReport('b', 1n)]).toEqual([true, false]);
  throttle.clearAll();
  expect([throttle.shouldReport('a', 2n), throttle.shouldReport('b', 2n)]).toEqual([true, true]);
});

test('a_clock_that_went_back_does_not_silence_a_key', () => {
  const throttle = new ReportThrottle();
  throttle.shouldReport('a', 1_000_000n * MS);
  expect(throttle.shouldReport('a', 5n * MS)).toBe(true);
  expect(throttle.shouldReport('a', 6n * MS)).toBe(false);
});

test('suppressed_reports_are_counted_until_the_next_one', () => {
  const throttle = new ReportThrottle();
  expect(throttle.suppressedBefore('a')).toBe(0);
  for (const at of [0n, 10n, 20n, 1000n]) throttle.shouldReport('a', at * MS);
  expect(throttle.suppressedBefore('a')).toBe(2);
  throttle.shouldReport('a', 2000n * MS);
  expect(throttle.suppressedBefore('a')).toBe(0);
});
