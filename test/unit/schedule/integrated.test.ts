import { describe, expect, test } from '@jest/globals';
import type { ActionJoint, SafetyConfig } from '../../../src/config/config.js';
import { actionJoint, T0 } from '../pipeline/robot.js';
import { Harness, chunk, config } from './harness.js';

/** Ticks last 0.1 s. `a` is a velocity that is sent as a position, `v` one that is sent as such; the gripper `g` is a position. */
const arm = (changes: Partial<ActionJoint> = {}): ActionJoint[] => [
  actionJoint('a', { kind: 'velocity', integrated: true, maxVelocity: 5, ...changes }),
  actionJoint('v', { kind: 'velocity' }),
  actionJoint('g', { gripper: true }),
];

/** A chunk of the observation at `T0`, or at another time. */
const rows = (...velocities: number[]): ReturnType<typeof chunk> => rowsAt(T0, ...velocities);
const rowsAt = (stamp: bigint, ...velocities: number[]): ReturnType<typeof chunk> =>
  chunk(
    stamp,
    velocities.map((velocity) => [velocity, velocity, 0.04]),
    ['a', 'v', 'g'],
  );

/** A harness whose robot is measured at `position`. */
function measuredAt(position: number, joints = arm(), safety: Partial<SafetyConfig> = {}): Harness {
  const harness = new Harness(config(joints, {}, safety));
  harness.measured = Float64Array.of(position, NaN, 0.04);
  return harness;
}

/** Like `harness.ticks`, positions to 9 digits. */
function rounded(harness: Harness, count: number): string[] {
  return harness
    .ticks(count)
    .map((line) => line.replace(/-?\d+\.\d+/, (value) => String(Number(Number(value).toFixed(9)))));
}

describe('velocities that are sent as positions', () => {
  test('are_integrated_from_the_first_measured_position_not_from_later_ones', () => {
    const harness = measuredAt(1);
    harness.executeChunk(rows(1, 2, -3));
    expect(rounded(harness, 1)).toEqual(['step 1.1']);
    harness.measured = Float64Array.of(1.05, NaN, 0.04);
    expect(rounded(harness, 2)).toEqual(['step 1.3', 'step 1']);
  });

  test('do_not_affect_other_joints', () => {
    const harness = measuredAt(1);
    harness.executeChunk(rows(2));
    expect([...harness.tick().command!.values]).toEqual([1.2, 2, 0.04]);
  });

  test('hold_is_the_last_commanded_position', () => {
    const harness = measuredAt(1);
    harness.executeChunk(rows(2));
    harness.ticks(1);
    harness.measured = Float64Array.of(1.13, NaN, 0.04);
    expect(rounded(harness, 2)).toEqual(['hold 1.2 COMMAND_STARVED', 'hold 1.2 COMMAND_STARVED']);
  });

  test('before_the_first_chunk_nothing_is_sent_and_then_it_starts_from_the_measured_position', () => {
    const harness = measuredAt(1);
    expect(rounded(harness, 1)).toEqual(['nothing']);
    harness.measured = Float64Array.of(0.9, NaN, 0.04);
    harness.executeChunk(rows(1));
    expect(rounded(harness, 1)).toEqual(['step 1']);
  });

  test('with_hold_before_plan_it_holds_and_then_starts_from_the_position_that_it_holds', () => {
    const harness = measuredAt(1, arm(), { holdBeforePlan: true });
    expect(rounded(harness, 1)).toEqual(['hold 1']);
    harness.measured = Float64Array.of(0.9, NaN, 0.04);
    harness.executeChunk(rows(1));
    expect(rounded(harness, 1)).toEqual(['step 1.1']);
  });

  test('nothing_is_sent_while_no_position_is_measured', () => {
    const harness = measuredAt(1);
    harness.measured = undefined;
    harness.executeChunk(rows(1));
    expect(harness.ticks(1)).toEqual(['nothing']);
  });

  test('a_measurement_that_is_lost_later_stops_the_joint_at_its_last_command', () => {
    const harness = measuredAt(1);
    harness.executeChunk(rows(1, 1, 1));
    harness.ticks(1);
    harness.measured = undefined;
    expect(rounded(harness, 2)).toEqual(['stop 1.1 STATE_LOST', 'nothing']);
    harness.measured = Float64Array.of(1.1, NaN, 0.04);
    expect(rounded(harness, 1)).toEqual(['nothing']);
    harness.executeChunk(rowsAt(harness.now, 1));
    expect(rounded(harness, 1)).toEqual(['step 1.2']);
  });

  test('the_stop_action_holds_the_measured_position_and_the_next_chunk_starts_there', () => {
    const harness = measuredAt(1);
    harness.executeChunk(rows(2, 2));
    harness.ticks(2);
    harness.measured = Float64Array.of(1.3, NaN, 0.03);
    expect([...harness.stop()!.values]).toEqual([1.3, 0, 0.04]);
    harness.measured = Float64Array.of(1.25, NaN, 0.03);
    harness.executeChunk(rowsAt(harness.now + 1n, 1));
    expect(rounded(harness, 1)).toEqual(['step 1.35']);
  });

  test('without_a_measurement_the_stop_action_is_the_last_command_and_without_that_there_is_none', () => {
    const harness = measuredAt(1);
    expect(harness.schedule.stop(harness.now, undefined)).toBeUndefined();
    const moved = measuredAt(1);
    moved.executeChunk(rows(2));
    moved.ticks(1);
    expect([...moved.schedule.deactivate(moved.now, undefined)!.values]).toEqual([1.2, 0, 0.04]);
  });

  test('every_activation_starts_from_the_measured_position', () => {
    const harness = measuredAt(1);
    harness.executeChunk(rows(2));
    harness.ticks(1);
    harness.deactivate();
    harness.measured = Float64Array.of(-1, NaN, 0.04);
    harness.schedule.activate();
    harness.executeChunk(rows(2));
    expect(rounded(harness, 1)).toEqual(['step -0.8']);
  });

  test('a_reset_keeps_the_last_command', () => {
    const harness = measuredAt(1);
    harness.executeChunk(rows(2, 2));
    harness.ticks(1);
    harness.schedule.reset();
    harness.measured = Float64Array.of(1.1, NaN, 0.04);
    expect(rounded(harness, 1)).toEqual(['hold 1.2']);
    harness.executeChunk(rowsAt(harness.now, 1));
    expect(rounded(harness, 1)).toEqual(['step 1.3']);
  });

  test('position_velocity_and_acceleration_stay_within_their_limits', () => {
    const harness = measuredAt(0, arm({ upper: 0.25, maxVelocity: 1, maxAcceleration: 6 }));
    harness.executeChunk(rows(4, 4, 4, 4, 4));
    const values = Array.from({ length: 5 }, () => {
      const value = harness.tick().command!.values[0]!;
      harness.measured = Float64Array.of(value, NaN, 0.04);
      return value;
    });
    // 0.6 per second at first, then 1, then what can still be braked before 0.25 at 6 per second squared.
    const speeds = values.map((value, i) => (value - (values[i - 1] ?? 0)) / 0.1);
    expect(speeds.slice(0, 3).map((speed) => speed.toFixed(9))).toEqual(['0.600000000', '1.000000000', '0.600000000']);
    expect(speeds[3]!).toBeGreaterThan(0.2);
    expect(Math.max(...values)).toBeLessThanOrEqual(0.25);
  });

  test('the_command_of_a_blocked_joint_is_no_further_ahead_than_it_can_move_in_state_max_age_and_a_period', () => {
    const harness = measuredAt(0);
    harness.executeChunk(rows(4, 4, 4, 4, 4));
    // 5 per second for 0.1 s each.
    expect(rounded(harness, 5)).toEqual(['step 0.4', 'step 0.8', 'step 1', 'step 1', 'step 1']);
  });
});
