import { describe, expect, test } from '@jest/globals';

import { SimulatedTicker } from '../../../src/pipeline/ticker.js';
import { tickPeriod } from '../../../src/time.js';
import { MS, SECOND } from './robot.js';

const PERIOD = tickPeriod(15);

/** The ticks of a ticker that receives these clock times: [time, lateness] of each, ns. */
function ticks(period: bigint, times: readonly bigint[]): (readonly [bigint, bigint])[] {
  const seen: (readonly [bigint, bigint])[] = [];
  const ticker = new SimulatedTicker(period, (now, lateness) => seen.push([now, lateness]));
  ticker.start();
  for (const time of times) ticker.advance(time);
  return seen;
}

describe('SimulatedTicker', () => {
  test('the_first_time_is_a_tick_and_one_follows_every_period', () => {
    const times = Array.from({ length: 300 }, (_, i) => SECOND + (BigInt(i) * SECOND) / 300n);
    const seen = ticks(PERIOD, times);
    expect(seen).toHaveLength(15);
    expect(seen[0]).toEqual([SECOND, 0n]);
    for (const [, lateness] of seen) expect(lateness).toBeLessThan(SECOND / 300n);
  });

  test('a_stamp_rounded_down_by_a_nanosecond_is_on_time', () => {
    const times = [0n, 66_666_666n, 133_333_333n, 200_000_000n];
    expect(ticks(PERIOD, times).map(([now]) => now)).toEqual(times);
  });

  test('a_late_tick_does_not_move_the_next_one', () => {
    const seen = ticks(100n, [0n, 130n, 199n, 200n]);
    expect(seen).toEqual([
      [0n, 0n],
      [130n, 30n],
      [200n, 0n],
    ]);
  });

  test('missed_ticks_are_skipped', () => {
    expect(ticks(100n, [0n, 350n, 399n, 400n])).toEqual([
      [0n, 0n],
      [350n, 250n],
      [400n, 0n],
    ]);
  });

  test('a_clock_that_jumps_back_ticks_at_once_and_later_ticks_are_counted_from_its_new_time', () => {
    const [start, reset] = [100n * SECOND, 10n * SECOND];
    const times = [start, start + 50n, reset, reset + 50n, reset + 100n];
    expect(ticks(100n, times).map(([now]) => now)).toEqual([start, reset, reset + 100n]);
  });

  test.each([5n, 20n, 45n])('two_publishers_that_are_%s_ms_apart_give_no_more_ticks_than_one', (apart) => {
    const times = Array.from({ length: 1000 }, (_, i) => SECOND + BigInt(i) * MS);
    const both = times.flatMap((time) => [time, time - apart * MS]);
    expect(ticks(PERIOD, both)).toEqual(ticks(PERIOD, times));
  });

  test('in_lockstep_every_new_time_is_one_tick_and_a_repeated_time_is_none', () => {
    expect(ticks(0n, [5n, 5n, 6n, 900n])).toEqual([
      [5n, 0n],
      [6n, 0n],
      [900n, 0n],
    ]);
  });

  test('there_is_no_tick_before_the_start_or_after_the_stop', () => {
    const seen: bigint[] = [];
    const ticker = new SimulatedTicker(100n, (now) => seen.push(now));
    ticker.advance(1n);
    ticker.start();
    ticker.advance(2n);
    ticker.stop();
    ticker.advance(500n);
    expect(seen).toEqual([2n]);
  });
});
