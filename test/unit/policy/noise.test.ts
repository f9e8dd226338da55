import { describe, expect, test } from '@jest/globals';
import { type Block, noise, philox4x32 } from '../../../src/policy/noise.js';

const hex = (block: Block): string[] => block.map((word) => word.toString(16).padStart(8, '0'));

describe('philox4x32-10', () => {
  // Known answers of the Random123 distribution, tests/kat_vectors.
  test.each<[Block, readonly [number, number], string]>([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('counter %p key %p', (counter, key, expected) => {
    expect(hex(philox4x32(counter, key)).join(' ')).toBe(expected);
  });
});

describe('noise', () => {
  const stamp = 1_763_700_000_123_456_789n;

  test('is_a_function_of_seed_and_stamp_alone', () => {
    const first = noise(7n, stamp, 320);
    noise(8n, stamp, 11);
    expect(noise(7n, stamp, 320)).toEqual(first);
    expect(noise(8n, stamp, 320)).not.toEqual(first);
    expect(noise(7n, stamp + 1n, 320)).not.toEqual(first);
    expect(noise(7n, stamp + (1n << 32n), 320)).not.toEqual(first);
    expect(noise(7n + (1n << 32n), stamp, 320)).not.toEqual(first);
  });

  test('a_shorter_one_is_the_beginning_of_a_longer_one', () => {
    expect(noise(7n, stamp, 7)).toEqual(noise(7n, stamp, 320).slice(0, 7));
  });

  test('has_the_moments_of_a_standard_normal', () => {
    const count = 1 << 18;
    const values = noise(1n, stamp, count);
    const moment = (power: number): number => values.reduce((sum, value) => sum + value ** power, 0) / count;
    // Five standard errors of each sample moment: sqrt(var / n) with var 1, 2, 15, 96.
    const error = (variance: number): number => 5 * Math.sqrt(variance / count);
    expect(Math.abs(moment(1))).toBeLessThan(error(1));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(error(2));
    expect(Math.abs(moment(3))).toBeLessThan(error(15));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(error(96));
    const neighbours = values.reduce((sum, value, i) => sum + value * (values[i + 1] ?? 0), 0) / count;
    expect(Math.abs(neighbours)).toBeLessThan(error(1));
  });

  test('is_finite_however_many_are_drawn', () => {
    expect(noise(3n, stamp, 100_000).every(Number.isFinite)).toBe(true);
  });
});
