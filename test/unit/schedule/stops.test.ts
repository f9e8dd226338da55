import { describe, expect, test } from '@jest/globals';
import { actionJoint, MS, SECOND, T0 } from '../pipeline/robot.js';
import { chunk, config, counting, Harness, positions, TICK, velocities } from './harness.js';

/** Executes equal rows: `value` for joint `a`, 0 for `b`. */
function constant(harness: Harness, value: number, rows: number): void {
  harness.executeChunk(
    chunk(
      harness.now,
      Array.from({ length: rows }, () => [value, 0]),
    ),
  );
}

describe('old chunks', () => {
  test('steps_of_an_old_observation_are_not_executed', () => {
    const harness = new Harness(config(positions, { maxChunkAge: 350n * MS }));
    harness.executeChunk(counting(T0 - 150n * MS, 10));
    expect(harness.ticks(4)).toEqual(['step 10', 'step 11', 'step 12', 'hold 12 CHUNK_STALE']);
    expect(harness.schedule.wantsInference).toBe(true);
    harness.executeChunk(counting(harness.now, 20));
    expect(harness.ticks(1)).toEqual(['step 20']);
  });

  test('a_hold_that_lasts_longer_than_the_engines_timeout_ends_with_the_stop_action', () => {
    const harness = new Harness(config(positions, { engineTimeout: 300n * MS }));
    harness.executeChunk(counting(T0, 10, 1));
    const hold = 'hold 10 COMMAND_STARVED';
    expect(harness.ticks(7)).toEqual(['step 10', hold, hold, hold, hold, 'stop 0 COMMAND_STARVED', 'nothing']);
  });
});

describe('a gap between ticks', () => {
  test('a_gap_between_two_ticks_stops_the_robot_instead_of_a_command', () => {
    const harness = new Harness(config(positions));
    harness.executeChunk(counting(T0, 10));
    expect(harness.ticks(1)).toEqual(['step 10']);
    harness.now += 150n * MS;
    expect(harness.ticks(1)).toEqual(['step 11']);
    harness.now += 150n * MS + 1n;
    expect(harness.ticks(2)).toEqual(['stop 0 TICK_GAP', 'nothing']);
  });

  test('a_late_tick_counts_as_one_and_a_gap_before_the_first_command_does_not', () => {
    const harness = new Harness(config(positions));
    harness.tick();
    harness.now += SECOND;
    harness.executeChunk(counting(harness.now, 10));
    expect(harness.ticks(1)).toEqual(['step 10']);
    const { command, fault } = harness.schedule.tick(harness.now, harness.measurement, 250n * MS + 1n);
    expect([command?.reason, fault?.code]).toEqual(['stop', 'TICK_GAP']);
  });
});

describe('following', () => {
  const limited = [actionJoint('a', { maxFollowingError: 0.2 }), actionJoint('b')];

  test('a_blocked_position_joint_stops_the_robot_and_the_lag_of_a_controller_does_not', () => {
    const harness = new Harness(config(limited));
    const rows = Array.from({ length: 12 }, (_, i) => [0.1 * i, 0]);
    harness.executeChunk(chunk(T0, rows));
    harness.ticks(1);
    for (let i = 1; i < 6; i++) {
      // Two periods behind.
      harness.measured = Float64Array.of(0.1 * Math.max(0, i - 2), 0);
      expect(harness.tick().command?.reason).toBe('step');
    }
    // Blocked at 0.3: the command of three periods ago is 0.2 further at the eighth tick, and more at the ninth.
    expect(harness.ticks(3).map((tick) => tick.split(' ')[0])).toEqual(['step', 'step', 'step']);
    const { command, fault } = harness.tick();
    expect([command?.reason, command?.values[0], fault?.code]).toEqual([
      'stop',
      harness.measured![0],
      'FOLLOWING_ERROR',
    ]);
    expect(harness.ticks(1)).toEqual(['nothing']);
  });

  test('a_velocity_joint_that_does_not_move_stops_the_robot', () => {
    const joints = [actionJoint('a', { kind: 'velocity', maxFollowingError: 0.2 }), velocities[1]!];
    const moves = (speed: number): string[] => {
      const harness = new Harness(config(joints, { maxChunkAge: 10n * SECOND }));
      constant(harness, 1, 15);
      return Array.from({ length: 15 }, (_, i) => {
        harness.measured = Float64Array.of(speed * 0.1 * i, 0);
        const { command, fault } = harness.tick();
        return fault?.code ?? command?.reason ?? 'nothing';
      });
    };
    expect(new Set(moves(1))).toEqual(new Set(['step']));
    expect(moves(0)).toContain('FOLLOWING_ERROR');
    expect(moves(-1)).toContain('FOLLOWING_ERROR');
  });

  test.each(['compliant', 'stiff'] as const)(
    'a_compliant_hold_moves_to_where_the_arm_was_moved_and_a_stiff_one_stays',
    (hold) => {
      const harness = new Harness(config(limited, { engineTimeout: 10n * SECOND }, { hold }));
      constant(harness, 0, 1);
      harness.ticks(4);
      harness.measured = Float64Array.of(0.15, 0);
      const moved = hold === 'compliant' ? 0.15 : 0;
      expect(harness.ticks(3).at(-1)).toBe(`hold ${moved} COMMAND_STARVED`);
      harness.measured = Float64Array.of(0.5, 0);
      expect(harness.ticks(1)).toEqual(['stop 0.5 FOLLOWING_ERROR']);
    },
  );
});

test('in_lock_step_each_tick_has_the_stop_action_until_there_is_a_new_chunk', () => {
  const harness = new Harness(config(positions, { lockstep: true }));
  harness.executeChunk(counting(T0, 10));
  harness.ticks(1);
  harness.stop();
  harness.now += 10n * TICK;
  expect(harness.ticks(2)).toEqual(['stop 0', 'stop 0']);
  harness.executeChunk(counting(harness.now, 20));
  expect(harness.ticks(1)).toEqual(['step 20']);
});
