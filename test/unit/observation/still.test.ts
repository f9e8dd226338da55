import { expect, test } from '@jest/globals';
import { image, MS, robot, T0 } from '../pipeline/robot.js';
import { Harness } from './harness.js';

const PERIOD = 100n * MS;

const BLACK = -1;

/** What images of these shades lead to, one every 100 ms: codes, or whether they were accepted. */
function codesOf(shades: readonly number[], maxStill = 500n * MS): string[] {
  const cameras = robot().cameras.map((camera) => ({ ...camera, maxStill }));
  const harness = new Harness(robot({ cameras }));
  return shades.flatMap((shade, i) => {
    const now = T0 + BigInt(i) * PERIOD;
    const accepted = harness.offerImage(
      'exterior',
      shade === BLACK ? image(now, 0, { data: new Uint8Array(48) }) : image(now, shade),
      now,
    );
    const codes = harness.takeCodes();
    return codes.length > 0 ? codes : [accepted ? 'accepted' : 'refused'];
  });
}

const times = (count: number, value: string): string[] => Array.from({ length: count }, () => value);

test('the_same_pixels_under_new_stamps_for_longer_than_max_still_are_refused_until_they_change', () => {
  const shades = [1, 2, ...Array.from({ length: 8 }, () => 7), 8, 9];
  expect(codesOf(shades)).toEqual([...times(8, 'accepted'), 'CAMERA_STILL', 'refused', 'accepted', 'accepted']);
});

test('an_image_of_one_colour_such_as_black_counts_too', () => {
  expect(codesOf(Array.from({ length: 7 }, () => BLACK))).toEqual([...times(6, 'accepted'), 'CAMERA_STILL']);
});

test('pixels_that_change_now_and_then_and_a_limit_of_0_are_accepted', () => {
  const shades = Array.from({ length: 30 }, (_, i) => Math.floor(i / 5));
  expect(codesOf(shades)).toEqual(times(30, 'accepted'));
  expect(
    codesOf(
      Array.from({ length: 30 }, () => 0),
      0n,
    ),
  ).toEqual(times(30, 'accepted'));
});
