import { describe, expect, test } from '@jest/globals';
import { BYTES_PER_PIXEL, type PixelEncoding, type Pixels } from '../../../src/frame/frame.js';
import { rotated } from '../../../src/policy/transforms/images.js';

const CHANNELS: Readonly<Record<PixelEncoding, readonly number[]>> = {
  rgb8: [0, 1, 2],
  bgr8: [2, 1, 0],
  rgba8: [0, 1, 2, 3],
  bgra8: [2, 1, 0, 3],
  mono8: [0],
};

/** 3 × 2 pixels whose bytes all differ, with `gap` bytes between rows. */
function image(encoding: PixelEncoding, gap: number): Pixels {
  const step = 3 * BYTES_PER_PIXEL[encoding] + gap;
  return { width: 3, height: 2, step, encoding, data: Uint8Array.from({ length: 2 * step }, (_, i) => i + 1) };
}

/** Colours of a pixel in the order red, green, blue, alpha. */
function pixel({ data, step, encoding }: Pixels, x: number, y: number): (number | undefined)[] {
  return CHANNELS[encoding].map((channel) => data[y * step + x * BYTES_PER_PIXEL[encoding] + channel]);
}

describe.each(Object.keys(CHANNELS) as PixelEncoding[])('%s', (encoding) => {
  test.each([0, 5])('rotated_by_180_has_each_colour_at_the_opposite_position_with_a_row_padding_of_%i', (gap) => {
    const given = image(encoding, gap);
    const before = given.data.slice();
    const result = rotated(given, 180);
    for (let y = 0; y < 2; y += 1) {
      for (let x = 0; x < 3; x += 1) expect(pixel(result, x, y)).toEqual(pixel(given, 2 - x, 1 - y));
    }
    expect(result.data.length).toBe(result.step * 2);
    expect(given.data).toEqual(before);
  });

  test('not_rotated_is_the_same_object', () => {
    const given = image(encoding, 5);
    expect(rotated(given, 0)).toBe(given);
  });
});
