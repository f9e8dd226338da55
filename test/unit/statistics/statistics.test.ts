import { expect, test } from '@jest/globals';
import { percentile, percentiles, percentilesOfSorted } from '../../../src/statistics.js';

test('a_percentile_is_the_sample_of_the_nearest_rank', () => {
  const sorted = Array.from({ length: 100 }, (_, i) => i + 1);
  expect([0, 0.01, 0.5, 0.95, 0.99, 1].map((share) => percentile(sorted, share))).toEqual([1, 1, 50, 95, 99, 100]);
  expect([0, 0.5, 0.51, 1].map((share) => percentile([10, 20], share))).toEqual([10, 10, 20, 20]);
});

test('bigints_and_typed_arrays_have_percentiles_too', () => {
  expect(percentile([1n, 2n, 3n], 0.95)).toBe(3n);
  expect(percentilesOfSorted(Float64Array.of(1, 2, 3))).toEqual({ p50: 2, p95: 3, p99: 3 });
});

test('samples_are_sorted_by_value_and_left_as_they_are', () => {
  const samples = [100, 9, 20];
  expect(percentiles(samples)).toEqual({ p50: 20, p95: 100, p99: 100 });
  expect(samples).toEqual([100, 9, 20]);
});

test('no_samples_have_no_percentiles', () => {
  expect(percentile([], 0.5)).toBeUndefined();
  expect(percentiles([])).toEqual({ p50: undefined, p95: undefined, p99: undefined });
});
