import { describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { actionJoint, MS, SECOND, stateJoint } from '../pipeline/robot.js';
import { config, measured, moving, PERIOD, Run, STOP } from './harness.js';

const LOST = { code: 'POLICY_LOST', message: 'lost' };
const lockstep: PolicyConfig = config({}, { schedule: { ...config().schedule, lockstep: true } });

describe('commands', () => {
  test('pass_unchanged_while_active_and_not_before', () => {
    const run = new Run(config());
    run.command([0.5, 1]);
    expect([run.last, run.guard.state]).toEqual(['nothing', 'inactive']);
    run.receive({ type: 'activate' });
    expect(run.guard.state).toBe('stopped');
    run.advance(PERIOD);
    const { command } = run.command([0.5, 1.25], 30n * MS);
    const { ros } = run.now;
    const values = Float64Array.of(0.5, 1.25);
    expect(command).toEqual({ time: ros, reason: 'step', values, observation: ros - 30n * MS });
    expect([run.guard.state, run.guard.cause]).toEqual(['moving', undefined]);
  });

  test('a_hold_without_an_observation_passes_after_an_activation_but_not_after_a_stop', () => {
    const run = new Run(config());
    run.receive({ type: 'activate' });
    run.hold([0.5, 0]);
    expect(run.last).toBe('hold 0.5 0');
    run.receive({ type: 'stop', code: 'ENGINE_FAILED', message: 'm' });
    run.advance(PERIOD);
    run.hold([0.6, 0]);
    expect(run.last).toBe(STOP);
  });

  test('from_an_observation_that_is_not_newer_than_the_last_stop_are_dropped_also_after_a_new_activation', () => {
    const run = moving();
    run.receive({ type: 'deactivate' });
    run.receive({ type: 'activate' });
    run.command([0.5, 1]);
    expect([run.last, run.guard.state]).toEqual([STOP, 'stopped']);
    run.advance(1n);
    run.command([0.5, 1]);
    expect(run.last).toBe('step 0.5 1');
    run.advance(PERIOD);
    run.command([0.5, 1], PERIOD + 1n);
    expect(run.published).toHaveLength(3);
  });
});

describe('silence', () => {
  test('beyond_the_command_time_out_stops_at_once_and_recovers_with_a_newer_observation', () => {
    const run = moving();
    run.advance(250n * MS);
    run.check();
    expect(run.guard.state).toBe('moving');
    run.advance(1n);
    run.check();
    expect([run.last, run.guard.state, run.guard.cause?.code]).toEqual([STOP, 'stopped', 'COMMAND_TIMEOUT']);
    expect(run.messages).toMatchObject([{ type: 'stopped', code: 'COMMAND_TIMEOUT', time: run.now.ros }]);
    run.command([0.5, 1], 1n);
    expect(run.last).toBe(STOP);
    run.advance(PERIOD);
    run.command([0.5, 1], 50n * MS);
    expect([run.last, run.guard.state, run.guard.cause]).toEqual(['step 0.5 1', 'moving', undefined]);
  });

  test('heartbeats_without_commands_stop_and_do_not_latch', () => {
    const run = moving();
    for (let i = 0; i < 30; i++) {
      run.tick();
      run.receive({ type: 'tick' });
    }
    expect([run.guard.state, run.guard.cause?.code]).toEqual(['stopped', 'COMMAND_TIMEOUT']);
  });

  test('beyond_latch_after_latches', () => {
    const run = moving();
    run.ticks(10);
    expect(run.guard.state).toBe('stopped');
    run.tick();
    expect([run.guard.state, run.guard.cause?.code]).toEqual(['latched', 'POLICY_SILENT']);
    run.command([0.5, 1]);
    run.receive({ type: 'deactivate' });
    run.receive({ type: 'activate' });
    run.advance(PERIOD);
    run.command([0.5, 1]);
    expect([run.guard.state, run.last]).toEqual(['latched', STOP]);
  });

  test('of_an_inactive_policy_is_normal', () => {
    const run = new Run(config());
    run.ticks(50);
    expect([run.guard.state, run.published]).toEqual(['inactive', []]);
  });

  test('is_noticed_before_a_message_that_was_waiting_is_used', () => {
    const run = moving();
    run.advance(300n * MS);
    run.command([0.5, 1], -SECOND);
    expect([run.last, run.guard.cause?.code]).toEqual([STOP, 'COMMAND_TIMEOUT']);
  });
});

describe('measured positions', () => {
  test('that_are_too_old_stop_the_robot_and_are_needed_to_move_again', () => {
    const run = moving();
    run.measured = measured([0.5, 0], 200n * MS);
    run.check();
    expect(run.guard.state).toBe('moving');
    run.measured = measured([0.5, 0], 200n * MS + 1n);
    run.check();
    expect([run.last, run.guard.cause?.code]).toEqual([STOP, 'STATE_LOST']);
    run.advance(PERIOD);
    run.command([0.5, 1]);
    expect(run.guard.state).toBe('stopped');
  });

  test('are_not_needed_without_a_state_and_in_lock_step', () => {
    const { joints } = config().action;
    const none = config({}, { state: { ...config().state, mode: 'none', joints: [] } });
    const state = { ...config().state, joints: [stateJoint('b', { source: 'velocity' })] };
    const velocities = config({}, { state, action: { joints: [joints[1]!, joints[1]!], bound: 'none' } });
    for (const parameters of [none, velocities, lockstep]) {
      const run = new Run(parameters);
      run.measured = undefined;
      run.receive({ type: 'activate' });
      run.command([0.5, 1]);
      run.tick();
      expect(run.guard.state).toBe('moving');
    }
  });
});

describe('limits', () => {
  const joints = [actionJoint('a', { maxVelocity: 1 }), actionJoint('b', { kind: 'velocity', upper: 1 })];
  const limited = config({}, { action: { joints, bound: 'none' } });

  test('that_a_command_breaks_stop_instead_of_the_command', () => {
    const run = moving(limited);
    run.tick();
    run.command([0.5, 1]);
    run.tick();
    run.command([0.7, 1]);
    expect([run.last, run.guard.cause?.code]).toEqual([STOP, 'COMMAND_LIMIT']);
    expect(run.guard.cause?.message).toMatch(/Expected a at 0.6 within its limits after 0.5, received 0.7/);
  });

  test('that_the_joint_passes_between_commands_stop', () => {
    const run = moving(limited);
    run.measured = measured([0.5, 1.2]);
    run.check();
    expect([run.last, run.guard.cause?.code]).toEqual([STOP, 'COMMAND_LIMIT']);
  });
});

describe('a guard that did not run for latch_after', () => {
  test('is_latched_before_it_uses_what_was_sent_meanwhile', () => {
    const run = moving();
    run.advance(SECOND + 1n);
    run.command([0.5, 1]);
    expect([run.last, run.guard.state, run.guard.cause?.code]).toEqual([STOP, 'latched', 'GUARD_PAUSED']);
  });

  test('does_not_pass_on_what_was_sent_before_a_shorter_pause', () => {
    const run = new Run(config());
    run.advance(900n * MS);
    run.receive({ type: 'activate' });
    const time = run.now.ros - 251n * MS;
    const values = Float64Array.of(0.5, 1);
    run.receive({ type: 'command', time, reason: 'step', values, observation: time, following: null });
    expect([run.last, run.guard.state]).toEqual(['nothing', 'stopped']);
    run.command([0.5, 1]);
    expect(run.last).toBe('step 0.5 1');
  });

  test('is_latched_while_inactive_too', () => {
    const run = new Run(config());
    run.advance(SECOND + 1n);
    run.check();
    expect([run.guard.state, run.published]).toEqual(['latched', []]);
  });
});

describe('the stop action', () => {
  test('is_repeated_each_control_period_for_two_seconds', () => {
    const run = moving();
    run.receive({ type: 'stop', code: 'ENGINE_FAILED', message: 'm' });
    run.measured = measured([9, 0]);
    for (let i = 0; i < 300; i++) {
      run.advance(10n * MS);
      run.check();
      if (i % 10 === 0) run.receive({ type: 'tick' });
    }
    const stops = run.published.filter(({ reason }) => reason === 'stop');
    expect(stops.length).toBeGreaterThanOrEqual(20);
    expect(stops.length).toBeLessThanOrEqual(23);
    for (const { values } of stops) expect([...values]).toEqual([0.5, 0]);
    expect(run.guard.repeats).toBe(false);
  });

  test('ends_with_the_next_command', () => {
    const run = moving();
    run.receive({ type: 'stop', code: 'ENGINE_FAILED', message: 'm' });
    run.advance(PERIOD);
    run.command([0.5, 1]);
    run.tick();
    expect(run.last).toBe('step 0.5 1');
  });

  test('holds_the_measured_positions_or_the_last_command_where_they_are_too_old', () => {
    for (const [age, expected] of [
      [200n * MS, '0.7'],
      [201n * MS, '0.5'],
    ] as const) {
      const run = moving();
      run.measured = measured([0.7, 0], age);
      run.receive({ type: 'deactivate' });
      expect(run.last).toBe(`stop ${expected} 0`);
    }
  });

  test('keeps_the_last_command_of_a_gripper_also_in_a_later_stop', () => {
    const joints = [actionJoint('a', { gripper: true }), actionJoint('b', { kind: 'velocity' })];
    const run = moving(config({}, { action: { joints, bound: 'none' } }));
    run.measured = measured([0.9, 0]);
    run.receive({ type: 'deactivate' });
    expect(run.last).toBe(STOP);
    run.take(run.guard.emergencyStop('~/stop', run.time, run.measured));
    expect(run.last).toBe(STOP);
  });

  test('is_sent_once_more_at_the_end_while_it_is_repeated_and_not_where_nothing_was_sent', () => {
    expect(new Run(config()).guard.end({ steady: 0n, ros: 0n }, undefined)).toEqual({ messages: [] });
    const run = moving();
    run.take(run.guard.end(run.time, run.measured));
    expect([run.last, run.published.length]).toEqual([STOP, 2]);
    run.take(run.guard.end(run.time, run.measured));
    expect([run.last, run.published.length]).toEqual([STOP, 3]);
  });
});

describe('the latch', () => {
  test('is_set_by_a_connection_that_closes_without_detach_and_not_by_detach', () => {
    const run = moving();
    run.take(run.guard.disconnect(false, LOST, run.time, run.measured));
    expect([run.last, run.guard.state, run.guard.latch]).toEqual([STOP, 'latched', LOST]);
    const orderly = moving();
    orderly.take(orderly.guard.disconnect(true, LOST, orderly.time, orderly.measured));
    expect([orderly.last, orderly.guard.state]).toEqual([STOP, 'inactive']);
  });

  test('ends_with_resume_alone_and_then_only_newer_observations_move_the_robot', () => {
    const run = moving();
    run.take(run.guard.disconnect(false, LOST, run.time, run.measured));
    run.receive({ type: 'activate' });
    run.tick();
    run.command([0.5, 1]);
    expect(run.guard.state).toBe('latched');
    const { success } = run.guard.resume(run.time, run.measured);
    expect([success, run.guard.state]).toEqual([true, 'stopped']);
    run.hold([0.5, 0]);
    run.command([0.5, 1]);
    expect(run.last).toBe(STOP);
    run.tick();
    run.command([0.5, 1]);
    expect(run.guard.state).toBe('moving');
  });

  test('is_set_by_the_codes_of_safety_latch', () => {
    const run = moving(config({ latch: ['ENGINE_FAILED'] }));
    run.receive({ type: 'stop', code: 'COMMAND_STARVED', message: 'm' });
    expect(run.guard.state).toBe('stopped');
    run.receive({ type: 'stop', code: 'ENGINE_FAILED', message: 'm' });
    expect([run.guard.state, run.messages.at(-1)?.type]).toEqual(['latched', 'latched']);
  });

  test('is_set_where_the_policy_has_missed_the_guard', () => {
    const run = moving();
    run.receive({ type: 'stop', code: 'GUARD_LOST', message: 'm' });
    expect([run.last, run.guard.state, run.messages.at(-1)?.type]).toEqual([STOP, 'latched', 'latched']);
  });

  test('is_set_by_the_emergency_stop_in_every_state_with_the_stop_action', () => {
    const inactive = new Run(config());
    for (const run of [inactive, moving()]) {
      run.take(run.guard.emergencyStop('~/stop', run.time, run.measured));
      expect([run.last, run.guard.state, run.guard.cause]).toEqual([
        STOP,
        'latched',
        { code: 'EMERGENCY_STOP', message: '~/stop' },
      ]);
      run.take(run.guard.emergencyStop('again', run.time, run.measured));
      expect(run.published.at(-1)).not.toBe(run.published.at(-2));
      expect(run.guard.cause?.message).toBe('~/stop');
    }
  });

  test('resume_while_it_is_not_latched_changes_nothing', () => {
    const run = moving();
    expect(run.guard.resume(run.time, run.measured)).toEqual({ messages: [], success: true, message: 'not latched' });
    expect(run.guard.state).toBe('moving');
  });
});

describe('a clock that jumps', () => {
  test.each([false, true])('back_stops_the_robot_with_use_sim_time_%s', (simulated) => {
    const run = moving(config(), simulated);
    run.now.ros -= 50n * MS;
    run.check();
    expect(run.guard.state).toBe('moving');
    run.now.ros -= 50n * MS + 1n;
    run.check();
    expect([run.last, run.guard.state, run.guard.cause?.code]).toEqual([STOP, 'stopped', 'CLOCK_BACKWARDS']);
    run.advance(PERIOD);
    run.command([0.5, 1]);
    expect(run.guard.state).toBe('moving');
  });

  test.each([10n * SECOND, -10n * SECOND])('drops_a_command_that_was_sent_before: by %d ns', (step) => {
    const run = new Run(config());
    run.receive({ type: 'activate' });
    run.now.ros += step;
    run.check();
    run.now.ros -= step;
    const command = { type: 'command', time: run.now.ros, reason: 'step', following: null } as const;
    run.now.ros += step;
    run.receive({ ...command, values: Float64Array.of(0.5, 1), observation: run.now.ros + 1n });
    expect([run.published, run.guard.state]).toEqual([[], 'stopped']);
  });

  test('back_is_the_reset_of_the_simulation_in_lock_step', () => {
    const run = moving(lockstep, true);
    run.now.ros -= 10n * SECOND;
    run.check();
    expect(run.guard.state).toBe('moving');
  });
});

describe('the heartbeat', () => {
  const withHeartbeat = config({ heartbeatTopic: '/alive', heartbeatMaxAge: 200n * MS });

  test('is_needed_for_the_first_command', () => {
    const run = moving(withHeartbeat);
    expect([run.published, run.guard.state, run.guard.cause?.code]).toEqual([[], 'stopped', 'HEARTBEAT_LOST']);
    run.guard.heartbeat(run.time);
    run.advance(1n);
    run.command([0.5, 1]);
    expect(run.guard.state).toBe('moving');
  });

  test('that_ceases_latches_and_resume_is_refused_until_it_comes_again', () => {
    const run = new Run(withHeartbeat);
    run.receive({ type: 'activate' });
    run.guard.heartbeat(run.time);
    run.advance(1n);
    run.command([0.5, 1]);
    run.advance(200n * MS);
    run.check();
    expect([run.last, run.guard.state, run.guard.cause?.code]).toEqual([STOP, 'latched', 'HEARTBEAT_LOST']);
    expect(run.guard.resume(run.time, run.measured).success).toBe(false);
    run.guard.heartbeat(run.time);
    expect(run.guard.resume(run.time, run.measured).success).toBe(true);
  });
});

describe('simulated time', () => {
  /** The wall clock alone advances. */
  const wait = (run: Run, duration: bigint): void => {
    run.now.steady += duration;
    run.check();
  };

  test('counts_silence_in_the_clock_and_not_on_the_wall', () => {
    const run = moving(config(), true);
    for (let i = 0; i < 9; i++) wait(run, PERIOD);
    run.now.ros += 250n * MS;
    run.check();
    expect(run.guard.state).toBe('moving');
    run.now.ros += 1n;
    run.check();
    expect(run.guard.cause?.code).toBe('COMMAND_TIMEOUT');
  });

  test('that_stands_still_stops_and_does_not_latch_however_long_and_recovers', () => {
    const run = moving(config(), true);
    for (let i = 0; i < 100; i++) wait(run, PERIOD);
    expect([run.last, run.guard.state, run.guard.cause?.code]).toEqual([STOP, 'stopped', 'CLOCK_STILL']);
    run.tick();
    run.command([0.5, 1]);
    expect(run.guard.state).toBe('moving');
  });

  test('that_begins_or_jumps_ahead_is_not_silence', () => {
    const run = new Run(config(), true);
    run.now.ros = 0n;
    run.check();
    run.receive({ type: 'activate' });
    run.now.ros = 1000n * SECOND;
    run.check();
    expect(run.guard.state).toBe('stopped');
  });

  test('that_goes_back_does_not_keep_the_robot_stopped', () => {
    const run = moving(config(), true);
    run.receive({ type: 'stop', code: 'ENGINE_FAILED', message: 'm' });
    run.now.ros -= 100n * SECOND;
    run.check();
    run.advance(PERIOD);
    run.command([0.5, 1]);
    expect(run.guard.state).toBe('moving');
    run.now.ros -= 100n * SECOND;
    run.check();
    expect(run.guard.cause?.code).toBe('CLOCK_BACKWARDS');
    run.advance(PERIOD);
    run.command([0.5, 1]);
    run.advance(250n * MS);
    run.check();
    expect(run.guard.state).toBe('moving');
    run.advance(1n);
    run.check();
    expect(run.guard.cause?.code).toBe('COMMAND_TIMEOUT');
  });
});

describe('lock-step', () => {
  test('has_no_time_out_and_no_repetition_but_a_closed_connection_stops', () => {
    const run = moving(lockstep, true);
    run.now.steady += 100n * SECOND;
    run.ticks(20);
    for (let i = 0; i < 10; i++) run.command([0.5, i]);
    expect([run.guard.state, run.published.length]).toEqual(['moving', 11]);
    run.take(run.guard.disconnect(false, LOST, run.time, run.measured));
    expect([run.last, run.guard.state, run.guard.repeats]).toEqual([STOP, 'latched', false]);
  });

  test('a_stopped_robot_gets_the_stop_action_for_each_tick_for_which_the_simulation_waits', () => {
    const run = moving(lockstep, true);
    run.receive({ type: 'stop', code: 'ENGINE_FAILED', message: 'failed' });
    run.receive({ type: 'tick' });
    run.receive({ type: 'repeat_stop' });
    run.command([0.5, 1]);
    run.hold([0.5, 0]);
    expect([run.last, run.published.length, run.messages.length]).toEqual([STOP, 5, 1]);
    run.advance(PERIOD);
    run.receive({ type: 'repeat_stop' });
    // The repetition is no new stop.
    run.command([0.5, 1], PERIOD - 1n);
    expect([run.last, run.guard.state]).toEqual(['step 0.5 1', 'moving']);
    run.take(run.guard.emergencyStop('stop', run.time, run.measured));
    run.receive({ type: 'repeat_stop' });
    expect([run.last, run.published.length, run.guard.state]).toEqual([STOP, 9, 'latched']);
  });

  test('a_stop_before_the_first_command_is_answered_too_but_only_in_lock_step_and_while_active', () => {
    for (const [parameters, published] of [[lockstep, 2] as const, [config(), 0] as const]) {
      const run = new Run(parameters, true);
      run.receive({ type: 'repeat_stop' });
      run.receive({ type: 'activate' });
      run.receive({ type: 'stop', code: 'ENGINE_FAILED', message: 'failed' });
      run.receive({ type: 'repeat_stop' });
      expect(run.published.map(({ reason }) => reason)).toEqual(Array<string>(published).fill('stop'));
    }
  });

  test('a_refused_command_of_a_stopped_robot_is_answered_with_the_stop_action', () => {
    const run = new Run(lockstep, true);
    run.receive({ type: 'activate' });
    run.command([NaN, 1]);
    run.tick();
    run.command([NaN, 1]);
    expect(run.published.map(({ reason }) => reason)).toEqual(['stop', 'stop']);
    expect(run.guard.cause?.code).toBe('COMMAND_LIMIT');
  });

  test('does_not_compare_a_command_with_joint_states_that_may_be_older_than_it', () => {
    const joint = actionJoint('b', { kind: 'velocity', lower: -1, upper: 1, maxVelocity: 2, maxAcceleration: 10 });
    const action = { ...config().action, joints: [config().action.joints[0]!, joint] };
    for (const [parameters, state] of [
      [config({}, { action }), 'stopped'] as const,
      [{ ...lockstep, action }, 'moving'] as const,
    ]) {
      const run = new Run(parameters, true);
      run.measured = measured([0.5, 1.1]);
      run.receive({ type: 'activate' });
      run.tick();
      run.command([0.5, 0.1]);
      expect(run.guard.state).toBe(state);
    }
  });
});
