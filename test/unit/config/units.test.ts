import { describe, expect, test } from '@jest/globals';
import { sameUnits, toModel, toRobot, type Units } from '../../../src/config/units.js';

const linear = (scale: number, offset: number): Units => ({ transform: 'none', scale, offset });
const GRIPPER: Units = { transform: 'interbotix_gripper', scale: 1, offset: 0 };

describe('scale and offset', () => {
  test('a_message_is_shifted_then_divided', () => expect(toModel(0.03, linear(-0.04, 0.04))).toBeCloseTo(0.25, 12));
  test('a_model_value_is_multiplied_then_shifted', () => expect(toRobot(0.25, linear(-0.04, 0.04))).toBe(0.03));
  test('a_scale_of_minus_1_flips_exactly_both_ways', () => {
    for (const value of [0.1, -3, 1e-9]) {
      expect(toModel(value, linear(-1, 0))).toBe(-value);
      expect(toRobot(value, linear(-1, 0))).toBe(-value);
    }
  });
});

describe("Interbotix's gripper", () => {
  test('its_motor_is_at_0_where_horn_arm_and_finger_form_a_right_triangle', () => {
    const finger = Math.sqrt(0.036 ** 2 - 0.022 ** 2);
    expect(toModel(finger, GRIPPER)).toBeCloseTo(0, 12);
    expect(toRobot(0, GRIPPER)).toBeCloseTo(finger, 15);
  });
  test('its_ends_are_at_the_sum_and_the_difference_of_the_lengths_of_horn_and_arm', () => {
    expect(toModel(0.058, GRIPPER)).toBeCloseTo(Math.PI / 2, 6);
    expect(toModel(0.014, GRIPPER)).toBeCloseTo(-Math.PI / 2, 6);
    expect(toRobot(Math.PI / 2, GRIPPER)).toBeCloseTo(0.058, 15);
    expect(toRobot(-Math.PI / 2, GRIPPER)).toBeCloseTo(0.014, 15);
  });
  test.each([
    [0.07, Math.PI / 2],
    [0.01, -Math.PI / 2],
  ])('a_finger_at_%d_m_which_it_cannot_reach_gives_the_angle_of_the_nearest_end', (finger, angle) =>
    expect(toModel(finger, GRIPPER)).toBe(angle),
  );
  test('toRobot_is_the_inverse_of_toModel', () => {
    const units = { ...GRIPPER, scale: 1.082, offset: 0.5476 };
    for (let finger = 0.015; finger < 0.0575; finger += 0.0005) {
      expect(toRobot(toModel(finger, units), units)).toBeCloseTo(finger, 12);
    }
  });
  test('differs_from_units_without_a_transform', () => {
    expect(sameUnits(GRIPPER, { ...GRIPPER })).toBe(true);
    expect(sameUnits(GRIPPER, linear(1, 0))).toBe(false);
  });
});
