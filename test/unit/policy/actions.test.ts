import { describe, expect, test } from '@jest/globals';
import { binarize, bound, toAbsolute } from '../../../src/policy/transforms/actions.js';

const row = (...values: number[]): Float64Array => Float64Array.of(...values);

describe('binarize', () => {
  test('above_the_threshold_is_1_and_the_threshold_itself_is_0', () => {
    expect(binarize(row(0.2, 0.5, 0.50001), [0.5, 0.5, 0.5])).toEqual(row(0, 0, 1));
  });
  test('leaves_columns_without_threshold_alone', () => {
    expect(binarize(row(0.2, 0.9, -3), [undefined, 0.5, undefined])).toEqual(row(0.2, 1, -3));
  });
  test('does_not_hide_a_value_that_is_not_a_number', () => {
    expect(binarize(row(NaN, 1, 0), [0.5, 0.5, 0.5])[0]).toBeNaN();
  });
});

describe('bound', () => {
  const flagged = [true, true, false];
  test('none_changes_nothing', () => expect(bound(row(2, -3, 4), 'none', flagged)).toEqual(row(2, -3, 4)));
  test('clip_bounds_each_alone', () => expect(bound(row(2, -0.5, 4), 'clip', flagged)).toEqual(row(1, -0.5, 4)));
  test('scale_divides_all_by_the_largest', () => {
    expect(bound(row(2, -0.5, 4), 'scale', flagged)).toEqual(row(1, -0.25, 4));
  });
  test.each(['clip', 'scale'] as const)('%s_leaves_values_within_1_as_they_are', (mode) => {
    expect(bound(row(1, -0.5, 4), mode, flagged)).toEqual(row(1, -0.5, 4));
  });
  test.each(['clip', 'scale'] as const)('%s_does_not_hide_a_value_that_is_not_a_number', (mode) => {
    expect(bound(row(NaN, 2, 0), mode, flagged)[0]).toBeNaN();
  });
});

describe('toAbsolute', () => {
  test('adds_the_state_to_the_deltas', () => {
    expect(toAbsolute(row(0.5, -1, 2), [10, undefined, -2])).toEqual(row(10.5, -1, 0));
  });
  test('changes_nothing_where_nothing_is_a_delta', () => {
    expect(toAbsolute(row(0.5, -1, 2), [undefined, undefined, undefined])).toEqual(row(0.5, -1, 2));
  });
});
