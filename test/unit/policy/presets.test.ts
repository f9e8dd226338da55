import { beforeAll, describe, expect, test } from '@jest/globals';
import { fixture } from '../root.js';
import { outcomes, PRESETS, type Outcome } from './presets.js';

/** Of values around 1, both sides computed in float64, with the same roundings to float32. */
const TOLERANCE = 1e-12;

describe.each(PRESETS)("%s gives what openpi's own transforms give", (preset) => {
  let results: readonly Outcome[];
  beforeAll(async () => {
    results = await outcomes(fixture('presets'), preset);
  });

  test('the_pixels_that_the_model_sees_and_the_slots_that_stay_empty', () => {
    expect(results.map(({ received }) => received.images)).toEqual(results.map(({ expected }) => expected.images));
  });

  test('the_state_after_normalisation', () => {
    for (const { received, expected } of results) {
      expect(received.normalized.length).toBe(expected.normalized.length);
      expect(largestDifference(received.normalized, expected.normalized)).toBeLessThan(TOLERANCE);
    }
  });

  test('the_tokens', () => {
    expect(results.map(({ received }) => received.tokens)).toEqual(results.map(({ expected }) => expected.tokens));
  });

  test('the_commands', () => {
    for (const { received, expected } of results) {
      expect(received.robot.length).toBe(expected.robot.length);
      expect(largestDifference(received.robot, expected.robot)).toBeLessThan(TOLERANCE);
    }
  });
});

function largestDifference(received: ArrayLike<number>, expected: ArrayLike<number>): number {
  return Array.from(received).reduce((most, value, i) => {
    const difference = Math.abs(value - (expected[i] ?? NaN));
    return Number.isNaN(difference) ? Infinity : Math.max(most, difference);
  }, 0);
}
