import { beforeEach, describe, expect, test } from '@jest/globals';
import { image, joints, MS, SECOND, T0 } from '../pipeline/robot.js';
import { Harness } from './harness.js';

let harness: Harness;

beforeEach(() => {
  harness = new Harness();
});

/** Offers a wrist image. Times are ms after T0. @returns whether it was accepted. */
function wrist(arrival: number, stamp: number = arrival, shade: number = stamp): boolean {
  return harness.offerImage('wrist', image(T0 + BigInt(stamp) * MS, shade), T0 + BigInt(arrival) * MS);
}

describe('CAMERA_FROZEN', () => {
  test('a_camera_whose_stamp_does_not_advance_is_refused_until_it_does', () => {
    expect(wrist(0)).toBe(true);
    expect([wrist(100, 0), wrist(133, 0), wrist(500, 0)]).toEqual([false, false, false]);
    expect(harness.refusals[0]).toMatchObject({
      code: 'CAMERA_FROZEN',
      source: 'wrist/image_raw',
      message: 'Expected a stamp after 1000.000000000, received the same again 0.100 s later from wrist/image_raw',
    });
    expect(harness.takeCodes()).toEqual(['CAMERA_FROZEN', 'CAMERA_FROZEN', 'CAMERA_FROZEN']);
    expect(wrist(533)).toBe(true);
    expect(harness.takeCodes()).toEqual([]);
  });

  test('the_same_pixels_under_new_stamps_are_a_still_scene', () => {
    expect([wrist(0, 0, 1), wrist(33, 33, 1), wrist(66, 66, 1)]).toEqual([true, true, true]);
    expect(harness.takeCodes()).toEqual([]);
  });

  test('one_message_delivered_twice_is_ignored_however_often_that_happens', () => {
    for (let at = 0; at < 1000; at += 33) expect([wrist(at), wrist(at + 2, at)]).toEqual([true, false]);
    expect(harness.takeCodes()).toEqual([]);
  });

  test('a_third_delivery_or_a_second_with_different_pixels_is_refused', () => {
    wrist(0);
    wrist(1, 0);
    wrist(2, 0);
    expect(harness.takeCodes()).toEqual(['CAMERA_FROZEN']);
    wrist(33);
    wrist(34, 33, 5);
    expect(harness.takeCodes()).toEqual(['CAMERA_FROZEN']);
  });

  test('joint_readings_may_share_a_stamp', () => {
    for (const a of [1, 2, 3]) harness.offerJoints(joints(T0, { a, b: 0 }), T0);
    expect([...harness.observer.measuredPositions(T0)!.positions]).toEqual([3, 0]);
    expect(harness.takeCodes()).toEqual([]);
  });
});

describe('TIME_BACKWARDS', () => {
  test('a_stamp_older_than_the_previous_one_is_refused_with_both_in_the_sentence', () => {
    wrist(50);
    expect(wrist(51, 20)).toBe(false);
    expect(harness.refusals[0]).toMatchObject({
      code: 'TIME_BACKWARDS',
      source: 'wrist/image_raw',
      message:
        'Expected a stamp after 1000.050000000, received 1000.020000000 (0.030 s before it) from wrist/image_raw',
    });
    expect(wrist(83)).toBe(true);
  });

  test('a_stamp_before_1970_is_written_as_a_negative_number', () => {
    wrist(0);
    harness.offerImage('wrist', image(-1_500_000_000n), T0);
    expect(harness.refusals[0]?.message).toContain('received -1.500000000 (1001.500 s before it)');
  });

  test('of_messages_out_of_order_only_the_late_ones_are_refused', () => {
    const order = [0, 33, 99, 66, 132, 198, 165, 231];
    expect(order.map((at) => wrist(at))).toEqual([true, true, true, false, true, true, false, true]);
    expect(harness.takeCodes()).toEqual(['TIME_BACKWARDS', 'TIME_BACKWARDS']);
  });

  test('a_publisher_whose_clock_went_back_loses_one_message', () => {
    for (let at = 0; at <= 300; at += 30) wrist(at, at + 100);
    expect(Array.from({ length: 4 }, (_, i) => wrist(330 + 30 * i, 310 + 30 * i))).toEqual([false, true, true, true]);
  });

  test('of_two_publishers_with_different_clocks_the_one_behind_is_refused', () => {
    const accepted = Array.from({ length: 3 }, (_, i) => [wrist(33 * i, 33 * i), wrist(33 * i + 5, 33 * i - 50)]);
    expect(accepted.flat()).toEqual([true, false, true, false, true, false]);
  });

  test('a_stamp_in_the_future_does_not_cause_the_refusal_of_the_next_valid_one', () => {
    wrist(0);
    wrist(33, 3_600_000);
    expect(harness.takeCodes()).toEqual(['CAMERA_STALE']);
    expect(wrist(66)).toBe(true);
  });

  test('after_a_stamp_that_is_stale_itself_an_older_one_is_refused_by_its_age', () => {
    wrist(0);
    harness.offerImage('wrist', image(0n), T0 + SECOND);
    expect(harness.refusals[0]?.message).toContain('its stamp is 0');
    expect(harness.takeCodes()).toEqual(['CAMERA_STALE']);
  });

  test('a_reset_forgets_earlier_messages', () => {
    wrist(100);
    harness.observer.reset(T0 - SECOND);
    expect(harness.offerImage('wrist', image(T0 - SECOND), T0 - SECOND)).toBe(true);
  });
});
