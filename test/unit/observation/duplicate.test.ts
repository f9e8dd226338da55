import { describe, expect, test } from '@jest/globals';
import type { CameraFrame, PixelEncoding, Pixels } from '../../../src/frame/frame.js';
import { BYTES_PER_PIXEL } from '../../../src/frame/frame.js';
import { withFingerprintSync } from '../../../src/engine/fingerprint.js';
import { isDuplicate as isDuplicateFrame } from '../../../src/observation/duplicate.js';

function isDuplicate(a: Pixels, b: Pixels): boolean {
  const [first, second] = [a, b].map((pixels) => withFingerprintSync({ stamp: 0n, ...pixels }) as CameraFrame);
  return isDuplicateFrame(first!, second!);
}

describe('duplicates', () => {
  const view = (encoding: PixelEncoding, pixel: (i: number) => readonly number[], padding = 0): Pixels => {
    const bytes = BYTES_PER_PIXEL[encoding];
    const step = 4 * bytes + padding;
    const data = new Uint8Array(step * 4).fill(padding);
    for (let i = 0; i < 16; i++) data.set(pixel(i).slice(0, bytes), Math.floor(i / 4) * step + (i % 4) * bytes);
    return { width: 4, height: 4, step, encoding, data };
  };
  const rgb = (i: number): number[] => [i, 2 * i, 3 * i, 255];
  const bgr = (i: number): number[] => [3 * i, 2 * i, i, 7];

  test('the_same_pixels_are_a_duplicate_in_any_layout', () => {
    const views = [
      view('rgb8', rgb),
      view('rgb8', rgb, 5),
      view('bgr8', bgr),
      view('rgba8', rgb),
      view('bgra8', bgr, 1),
    ];
    for (const a of views) for (const b of views) expect(isDuplicate(a, b)).toBe(true);
  });

  test('images_that_differ_in_one_channel_of_the_last_pixel_are_no_duplicate', () => {
    expect(
      isDuplicate(
        view('rgb8', rgb),
        view('rgb8', (i) => (i === 15 ? [15, 30, 46] : rgb(i))),
      ),
    ).toBe(false);
  });

  test('two_views_of_one_colour_are_no_duplicate', () => {
    expect(
      isDuplicate(
        view('mono8', () => [9]),
        view('mono8', () => [9]),
      ),
    ).toBe(false);
  });

  test('alpha_does_not_count_as_colour_and_one_pixel_of_another_colour_does', () => {
    const alpha = (i: number): number[] => [9, 9, 9, i];
    expect(isDuplicate(view('rgba8', alpha), view('rgba8', alpha))).toBe(false);
    const last = (i: number): number[] => [9, 9, i === 15 ? 8 : 9, i];
    expect(isDuplicate(view('rgba8', last), view('rgba8', last))).toBe(true);
    expect(
      isDuplicate(
        view('rgba8', last),
        view('bgra8', (i) => last(i).with(0, last(i)[2]!).with(2, last(i)[0]!)),
      ),
    ).toBe(true);
  });

  test('images_of_different_sizes_are_no_duplicate', () => {
    const view44 = view('mono8', (i) => [i]);
    expect(isDuplicate(view44, { ...view44, width: 2, height: 4 })).toBe(false);
  });
});
