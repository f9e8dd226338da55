import { describe, expect, test } from '@jest/globals';
import { Samples, Series, TimeBuckets } from '../../../src/report/downsample.js';

describe('time buckets', () => {
  test('never_exceed_their_capacity_and_stay_even_over_a_time_of_unknown_length', () => {
    const buckets = new TimeBuckets<number>(48, 0.25);
    let most = 0;
    for (let k = 0; k < 108_000; k++) {
      buckets.add(k / 30, k / 30);
      most = Math.max(most, buckets.items.length);
    }
    expect(most).toBe(48);
    const times = buckets.items;
    expect(times.length).toBeGreaterThanOrEqual(24);
    const gaps = times.slice(1).map((time, index) => time - times[index]!);
    expect(Math.max(...gaps) / Math.min(...gaps)).toBeLessThan(1.01);
    expect(times[0]).toBe(0);
    expect(times.at(-1)).toBeGreaterThan(3600 - 3600 / 24);
  });

  test('leave_a_gap_where_there_was_no_item', () => {
    const buckets = new TimeBuckets<number>(10, 1);
    for (const time of [0, 1, 2, 50, 51, 52]) buckets.add(time, time);
    expect(buckets.items).toEqual([0, 1, 2, 50, 51, 52]);
  });

  test('keep_the_first_of_a_bucket_and_report_in_advance_whether_an_item_starts_one', () => {
    const buckets = new TimeBuckets<string>(10, 1);
    buckets.add(0.1, 'first');
    expect([buckets.startsBucket(0.9), buckets.startsBucket(1)]).toEqual([false, true]);
    buckets.add(0.9, 'second');
    expect(buckets.items).toEqual(['first']);
  });

  test('are_merged_and_nothing_is_lost_where_they_add_up', () => {
    const buckets = new TimeBuckets<number>(7, 0.01, (a, b) => a + b);
    for (let k = 0; k < 1000; k++) buckets.add(k * 0.37, 1);
    expect(buckets.items.length).toBeLessThanOrEqual(7);
    expect(buckets.items.reduce((a, b) => a + b)).toBe(1000);
  });

  test('stay_bounded_when_time_jumps_back_again_and_again', () => {
    const buckets = new TimeBuckets<number>(5, 0.01);
    for (let k = 0; k < 1000; k++) buckets.add((k * 7) % 10, k);
    expect(buckets.items.length).toBeLessThanOrEqual(5);
  });
});

describe('a series', () => {
  test('has_every_sample_while_they_are_few', () => {
    const series = new Series(10);
    for (const [time, value] of [
      [0, 1],
      [0.5, -2],
      [0.7, NaN],
      [1, 3],
    ] as const) {
      series.add(time, value);
    }
    expect(series.points).toEqual([
      [0, 1],
      [0.5, -2],
      [1, 3],
    ]);
  });

  test('keeps_every_peak_in_bounded_memory_in_the_order_of_time', () => {
    const series = new Series(100);
    for (let k = 0; k < 100_000; k++) series.add(k / 100, k === 54_321 ? 9 : k === 54_322 ? -9 : Math.sin(k));
    const { points } = series;
    expect(points.length).toBeLessThanOrEqual(200);
    expect(points).toContainEqual([543.21, 9]);
    expect(points).toContainEqual([543.22, -9]);
    expect(points.map(([time]) => time)).toEqual(points.map(([time]) => time).toSorted((a, b) => a - b));
  });
});

test('samples_are_all_kept_while_they_fit_and_thinned_evenly_after', () => {
  const samples = new Samples(100);
  for (let k = 100; k > 0; k--) samples.add(k);
  expect(samples.sorted).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  const many = new Samples(100);
  for (let k = 0; k < 10_000; k++) many.add(k);
  expect(many.sorted.length).toBeLessThanOrEqual(100);
  expect(many.sorted.length).toBeGreaterThanOrEqual(50);
  expect(new Set(many.sorted.map((value, index) => value - index * many.sorted[1]!))).toEqual(new Set([0]));
});
