import { describe, expect, test } from '@jest/globals';
import type { ActionJoint } from '../../../src/config/config.js';
import { actionJoint, T0 } from '../pipeline/robot.js';
import { Bench, chunk, config } from './bench.js';

/** Ticks last 0.1 s. `a` goes out as a position, `v` as the velocity that it is, the gripper `g` is a position. */
const arm = (changes: Partial<ActionJoint> = {}): ActionJoint[] => [
  actionJoint('a', { kind: 'velocity', integrated: true, maxVelocity: 5, ...changes }),
  actionJoint('v', { kind: 'velocity' }),
  actionJoint('g', { gripper: true }),
];

const rows = (...velocities: number[]): ReturnType<typeof chunk> =>
  chunk(
    T0,
    velocities.map((velocity) => [velocity, velocity, 0.04]),
    ['a', 'v', 'g'],
  );

/** A bench whose robot is measured at `position`. */
function measuredAt(position: number, joints = arm()): Bench {
  const bench = new Bench(config(joints));
  bench.measured = Float64Array.of(position, NaN, 0.04);
  return bench;
}

/** What `ticks` says, positions to 9 digits. */
function said(bench: Bench, count: number): string[] {
  return bench
    .ticks(count)
    .map((line) => line.replace(/-?\d+\.\d+/, (value) => String(Number(Number(value).toFixed(9)))));
}

describe('velocities that go out as positions', () => {
  test('are_added_up_from_the_measured_position_whatever_is_measured_later', () => {
    const bench = measuredAt(1);
    bench.give(rows(1, 2, -3));
    expect(said(bench, 1)).toEqual(['step 1.1']);
    bench.measured = Float64Array.of(1.05, NaN, 0.04);
    expect(said(bench, 2)).toEqual(['step 1.3', 'step 1']);
  });

  test('leave_other_joints_as_they_are', () => {
    const bench = measuredAt(1);
    bench.give(rows(2));
    expect([...bench.tick().command!.values]).toEqual([1.2, 2, 0.04]);
  });

  test('hold_is_the_last_commanded_position', () => {
    const bench = measuredAt(1);
    bench.give(rows(2));
    bench.ticks(1);
    bench.measured = Float64Array.of(1.13, NaN, 0.04);
    expect(said(bench, 2)).toEqual(['hold 1.2 COMMAND_STARVED', 'hold 1.2 COMMAND_STARVED']);
  });

  test('before_the_first_chunk_it_holds_and_then_starts_from_where_it_is', () => {
    const bench = measuredAt(1);
    expect(said(bench, 1)).toEqual(['hold 1']);
    bench.measured = Float64Array.of(0.9, NaN, 0.04);
    bench.give(rows(1));
    expect(said(bench, 1)).toEqual(['step 1']);
  });

  test('nothing_is_sent_while_nothing_is_measured', () => {
    const bench = measuredAt(1);
    bench.measured = undefined;
    bench.give(rows(1));
    expect(bench.ticks(1)).toEqual(['nothing']);
  });

  test('a_measurement_that_goes_missing_later_stops_the_joint_where_it_was_sent', () => {
    const bench = measuredAt(1);
    bench.give(rows(1, 1, 1));
    bench.ticks(1);
    bench.measured = undefined;
    expect(said(bench, 1)).toEqual(['step 1.1']);
    bench.measured = Float64Array.of(1.1, NaN, 0.04);
    expect(said(bench, 1)).toEqual(['step 1.2']);
  });

  test('the_stop_action_holds_the_measured_position_and_the_next_chunk_starts_there', () => {
    const bench = measuredAt(1);
    bench.give(rows(2, 2));
    bench.ticks(2);
    bench.measured = Float64Array.of(1.3, NaN, 0.03);
    expect([...bench.schedule.stop(bench.now, bench.measured)!.values]).toEqual([1.3, 0, 0.04]);
    bench.measured = Float64Array.of(1.25, NaN, 0.03);
    bench.give(rows(1));
    expect(said(bench, 1)).toEqual(['step 1.35']);
  });

  test('without_a_measurement_the_stop_action_is_the_last_command_and_without_that_there_is_none', () => {
    const bench = measuredAt(1);
    expect(bench.schedule.stop(bench.now, undefined)).toBeUndefined();
    const moved = measuredAt(1);
    moved.give(rows(2));
    moved.ticks(1);
    expect([...moved.schedule.deactivate(moved.now, undefined)!.values]).toEqual([1.2, 0, 0.04]);
  });

  test('every_activation_starts_from_the_measured_position', () => {
    const bench = measuredAt(1);
    bench.give(rows(2));
    bench.ticks(1);
    bench.schedule.deactivate(bench.now, bench.measured);
    bench.measured = Float64Array.of(-1, NaN, 0.04);
    bench.schedule.activate();
    bench.give(rows(2));
    expect(said(bench, 1)).toEqual(['step -0.8']);
  });

  test('a_reset_keeps_the_last_command', () => {
    const bench = measuredAt(1);
    bench.give(rows(2, 2));
    bench.ticks(1);
    bench.schedule.reset();
    bench.measured = Float64Array.of(1.1, NaN, 0.04);
    expect(said(bench, 1)).toEqual(['hold 1.2']);
    bench.give(rows(1));
    expect(said(bench, 1)).toEqual(['step 1.3']);
  });

  test('no_position_is_beyond_a_limit_and_speed_and_acceleration_keep_theirs', () => {
    const bench = measuredAt(0, arm({ upper: 0.25, maxVelocity: 1, maxAcceleration: 6 }));
    bench.give(rows(4, 4, 4, 4, 4));
    const values = Array.from({ length: 5 }, () => {
      const value = bench.tick().command!.values[0]!;
      bench.measured = Float64Array.of(value, NaN, 0.04);
      return value;
    });
    // 0.6 per second at first, then 1, then what can still be braked before 0.25 at 6 per second squared.
    const speeds = values.map((value, i) => (value - (values[i - 1] ?? 0)) / 0.1);
    expect(speeds.slice(0, 3).map((speed) => speed.toFixed(9))).toEqual(['0.600000000', '1.000000000', '0.600000000']);
    expect(speeds[3]!).toBeGreaterThan(0.2);
    expect(Math.max(...values)).toBeLessThanOrEqual(0.25);
  });

  test('a_blocked_joint_is_led_no_further_than_it_can_move_in_state_max_age_and_a_period', () => {
    const bench = measuredAt(0);
    bench.give(rows(4, 4, 4, 4, 4));
    // 5 per second for 0.1 s each.
    expect(said(bench, 5)).toEqual(['step 0.4', 'step 0.8', 'step 1', 'step 1', 'step 1']);
  });
});
