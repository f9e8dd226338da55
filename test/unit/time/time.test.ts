import { expect, test } from '@jest/globals';
import {
  formatSeconds,
  formatTimestamp,
  fromRosTime,
  tickPeriod,
  toMilliseconds,
  toNanoseconds,
  toRosTime,
  toSeconds,
} from '../../../src/time.js';

test('seconds_and_nanoseconds_convert_both_ways', () => {
  expect([toNanoseconds(0.05), toNanoseconds(0.1 + 0.2)]).toEqual([50_000_000n, 300_000_000n]);
  expect([toSeconds(50_000_000n), toMilliseconds(1_500_000n)]).toEqual([0.05, 1.5]);
});

test('a_stamp_is_split_into_seconds_and_nanoseconds_and_joined_again', () => {
  expect(toRosTime(1_999_999_999n)).toEqual({ sec: 1, nanosec: 999_999_999 });
  for (const stamp of [0n, 1n, 999_999_999n, 1_700_000_000_000_000_001n]) {
    expect(fromRosTime(toRosTime(stamp))).toBe(stamp);
  }
});

test('a_stamp_before_1970_is_joined', () => {
  expect(fromRosTime({ sec: -2, nanosec: 500_000_000 })).toBe(-1_500_000_000n);
});

test('a_tick_period_is_rounded_to_a_nanosecond', () => {
  expect([tickPeriod(50), tickPeriod(15), tickPeriod(30)]).toEqual([20_000_000n, 66_666_667n, 33_333_333n]);
});

test('seconds_have_three_decimals_and_timestamps_nine', () => {
  expect([formatSeconds(0n), formatSeconds(1_234_500_000n), formatSeconds(-50_000_000n)]).toEqual([
    '0.000',
    '1.234',
    '-0.050',
  ]);
  expect([0n, 1_700_000_000_000_000_001n, -1_500_000_000n].map(formatTimestamp)).toEqual([
    '0.000000000',
    '1700000000.000000001',
    '-1.500000000',
  ]);
});
