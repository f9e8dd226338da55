import { describe, expect, test } from '@jest/globals';
import type { ActionJoint } from '../../../src/config/config.js';
import type { Seam } from '../../../src/schedule/seam.js';
import { actionJoint } from '../pipeline/robot.js';
import { chunk, config, Harness, TICK } from './harness.js';

/** At 10 Hz: 0.2 per period for the position, 1 per s and period for the velocity. */
const LIMITS = { lower: -100, upper: 100, maxVelocity: 2, maxAcceleration: 1e6 };
const POSITION = actionJoint('position', LIMITS);
const VELOCITY = actionJoint('velocity', { ...LIMITS, kind: 'velocity', maxVelocity: 50, maxAcceleration: 10 });
const GRIPPER = actionJoint('gripper', { ...LIMITS, gripper: true });

/** Executes chunks one after the other, each for `ticks` ticks. @returns the seams. */
function execute(
  joints: readonly ActionJoint[],
  chunks: readonly number[][][],
  ticks = 2,
): { seams: Seam[]; harness: Harness } {
  const harness = new Harness(config(joints, { replanSteps: 1, mode: 'rtc' }));
  const names = joints.map(({ name }) => name);
  const seams: Seam[] = [];
  for (const rows of chunks) {
    harness.executeChunk(chunk(harness.now, rows, names));
    for (let i = 0; i < ticks; i++) {
      const { seam } = harness.tick();
      if (seam !== undefined) seams.push(seam);
    }
  }
  return { seams, harness };
}

describe('a seam', () => {
  test('of_positions_is_relative_to_the_distance_that_one_period_allows', () => {
    const { seams } = execute(
      [POSITION],
      [
        [[0], [0.1], [0.2]],
        [[0.15], [0.2]],
        [[0.6], [0.6]],
      ],
    );
    // 0 and 0.1 were sent, then 0.15 and 0.2, then 0.6 is wanted.
    expect(seams.map(({ jump }) => jump)).toEqual([expect.closeTo(0.25), expect.closeTo(2)]);
    expect(seams[1]).toMatchObject({ joint: 'position' });
  });

  test('of_velocities_is_relative_to_the_change_that_one_period_allows', () => {
    const { seams } = execute(
      [VELOCITY],
      [
        [[0.5], [0.5]],
        [[-1], [-1]],
      ],
    );
    expect(seams.map(({ jump }) => jump)).toEqual([expect.closeTo(1.5)]);
  });

  test('is_that_of_the_worst_joint_without_grippers', () => {
    const { seams } = execute(
      [POSITION, VELOCITY, GRIPPER],
      [
        [
          [0, 0, 0],
          [0, 0, 0],
        ],
        [
          [0.1, 0.8, 50],
          [0.1, 0.8, 50],
        ],
      ],
    );
    expect(seams).toMatchObject([{ joint: 'velocity', jump: expect.closeTo(0.8) }]);
  });

  test('is_measured_at_the_first_step_of_a_new_plan_only_and_the_first_plan_has_none', () => {
    const { seams } = execute(
      [POSITION],
      [
        [[0], [0.1], [0.2], [0.3]],
        [[0.4], [0.5], [0.6], [0.7]],
      ],
      4,
    );
    expect(seams).toHaveLength(1);
  });

  test('has_the_disagreement_with_the_plan_before_about_the_same_instants', () => {
    const { seams } = execute(
      [POSITION],
      [
        [[0], [0.1], [0.2], [0.3]],
        [[0.3], [0.2], [9], [9]],
      ],
    );
    // 0.3 and 0.2 instead of 0.2 and 0.3: 0.1 each, half of what a period allows.
    expect(seams[0]!.disagreement).toBeCloseTo(0.5);
  });

  test('has_no_disagreement_where_nothing_was_left_of_the_plan_before', () => {
    expect(
      execute(
        [POSITION],
        [
          [[0], [0.1]],
          [[0.2], [0.2]],
        ],
      ).seams[0]!.disagreement,
    ).toBeUndefined();
  });

  test('is_not_measured_from_the_holds_before_the_first_plan', () => {
    const harness = new Harness(config([POSITION], { replanSteps: 1 }, { holdBeforePlan: true }));
    expect(harness.tick().command?.reason).toBe('hold');
    harness.executeChunk(chunk(harness.now, [[0.1], [0.1]], ['position']));
    expect(harness.tick()).toMatchObject({ command: { reason: 'step' } });
    expect(harness.schedule.quality.seams).toBe(0);
  });

  test('is_not_measured_across_a_stop', () => {
    const { harness } = execute([POSITION], [[[0], [0.1]]]);
    harness.stop();
    harness.now += TICK;
    harness.executeChunk(chunk(harness.now, [[0], [0]], ['position']));
    expect(harness.tick().seam).toBeUndefined();
  });
});

describe('the quality of the motion', () => {
  test('counts_seams_and_has_the_last_and_the_largest_jump', () => {
    const { harness } = execute(
      [POSITION],
      [
        [[0], [0.1]],
        [[0.4], [0.4]],
        [[0.3], [0.3]],
      ],
    );
    expect(harness.schedule.quality).toMatchObject({
      seams: 2,
      maxJump: expect.closeTo(1.5),
      maxJumpJoint: 'position',
    });
    expect(harness.schedule.quality.lastJump).toBeLessThan(1.5);
  });

  test('has_the_jerk_of_what_was_commanded', () => {
    // Velocities 0.5, 1, 1: second differences 0.5 (from rest), 0, -0.5 over 0.01 s².
    const { harness } = execute([VELOCITY], [[[0.5], [1], [1]]], 3);
    const { jerkRms, jerkMax } = harness.schedule.quality;
    expect(jerkMax).toBeCloseTo(50);
    expect(jerkRms).toBeCloseTo(Math.sqrt((50 ** 2 + 0 + 50 ** 2) / 3));
  });

  test('has_the_jerk_of_positions', () => {
    // Positions 0, 0.1, 0.2: velocities 0, 1, 1.
    const { harness } = execute([POSITION], [[[0], [0.1], [0.2]]], 3);
    expect(harness.schedule.quality.jerkMax).toBeCloseTo(100);
  });

  test('counts_the_ticks_with_nothing_new', () => {
    const { harness } = execute([POSITION], [[[0], [0.1]]], 5);
    expect(harness.schedule.quality.idleSteps).toBe(3);
  });

  test('is_that_since_the_activation', () => {
    const { harness } = execute(
      [POSITION],
      [
        [[0], [0.1]],
        [[0.4], [0.4]],
      ],
      3,
    );
    harness.deactivate();
    harness.schedule.activate();
    expect(harness.schedule.quality).toEqual({
      seams: 0,
      lastJump: undefined,
      maxJump: undefined,
      maxJumpJoint: '',
      disagreement: undefined,
      jerkRms: 0,
      jerkMax: 0,
      idleSteps: 0,
    });
  });
});
