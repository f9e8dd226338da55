import { describe, expect, test } from '@jest/globals';
import type { ActionJoint } from '../../../src/config/config.js';
import { actionJoint } from '../pipeline/robot.js';
import { chunk, config, Harness, TICK } from './harness.js';

const LIMITS = { lower: -100, upper: 100, maxVelocity: 20, maxAcceleration: 1e6 };
const POSITION = actionJoint('a', LIMITS);
const VELOCITY = actionJoint('a', { ...LIMITS, kind: 'velocity' });
const GRIPPER = actionJoint('a', { ...LIMITS, gripper: true });

/** The commands of `ticks` ticks with 0.4 s of blending in; every row is 1. */
function commands(joint: ActionJoint, ticks: number, harness = start(joint)): number[] {
  const rows = Array.from({ length: ticks }, () => [1]);
  harness.executeChunk(chunk(harness.now, rows, ['a']));
  return Array.from({ length: ticks }, () => harness.tick().command!.values[0]!);
}

function start(joint: ActionJoint): Harness {
  return new Harness(config([joint], { replanSteps: 100, blendIn: 4n * TICK }));
}

describe('blend_in', () => {
  test('scales_velocities_by_a_factor_that_rises_to_1', () => {
    expect(commands(VELOCITY, 6)).toEqual([0.25, 0.5, 0.75, 1, 1, 1].map((value) => expect.closeTo(value, 12)));
  });

  test('scales_what_the_limits_allow', () => {
    expect(commands({ ...VELOCITY, maxVelocity: 0.5 }, 6)).toEqual(
      [0.125, 0.25, 0.375, 0.5, 0.5, 0.5].map((value) => expect.closeTo(value, 12)),
    );
  });

  test('moves_positions_from_where_the_robot_is', () => {
    const harness = start(POSITION);
    harness.measured = Float64Array.of(0.6);
    const values = commands(POSITION, 6, harness);
    expect(values).toEqual([0.7, 0.8, 0.9, 1, 1, 1].map((value) => expect.closeTo(value, 12)));
  });

  test('does_not_hide_a_first_position_that_is_too_far_away', () => {
    const harness = start({ ...POSITION, maxVelocity: 1 });
    harness.executeChunk(chunk(harness.now, [[1], [1]], ['a']));
    expect(harness.tick().fault).toMatchObject({ code: 'COMMAND_JUMP' });
  });

  test('leaves_grippers_alone', () => {
    expect(commands(GRIPPER, 2)).toEqual([1, 1]);
  });

  test('begins_again_after_a_stop_and_not_with_the_next_chunk', () => {
    const harness = start(VELOCITY);
    commands(VELOCITY, 6, harness);
    expect(commands(VELOCITY, 2, harness)).toEqual([1, 1]);
    harness.stop();
    harness.now += TICK;
    expect(commands(VELOCITY, 2, harness)).toEqual([0.25, 0.5]);
  });

  test('is_off_by_default', () => {
    const harness = new Harness(config([VELOCITY], { replanSteps: 100 }));
    expect(commands(VELOCITY, 2, harness)).toEqual([1, 1]);
  });
});
