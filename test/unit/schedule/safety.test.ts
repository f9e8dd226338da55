import { describe, expect, test } from '@jest/globals';
import { actionJoint, random, T0 } from '../pipeline/robot.js';
import { Harness, chunk, config, counting, positions, velocities } from './harness.js';

const starved = (value: number, ticks: number): string[] => Array<string>(ticks).fill(`hold ${value} COMMAND_STARVED`);

describe('underrun', () => {
  test('steps_are_executed_while_there_are_any_then_it_holds_and_reports_it_until_there_is_a_chunk', () => {
    const harness = new Harness(config(positions));
    harness.executeChunk(counting(T0, 10, 2));
    expect(harness.ticks(5)).toEqual(['step 10', 'step 11', ...starved(11, 3)]);
    harness.executeChunk(counting(harness.now, 20, 1));
    expect(harness.ticks(3)).toEqual(['step 20', ...starved(20, 2)]);
  });

  test('velocities_stop_at_once_or_at_the_acceleration_limit', () => {
    const joints = [actionJoint('a', { kind: 'velocity', maxAcceleration: 4 }), actionJoint('b', { kind: 'velocity' })];
    const harness = new Harness(config(joints));
    harness.executeChunk(
      chunk(T0, [
        [0.4, 1],
        [0.8, 1],
      ]),
    );
    const values = Array.from({ length: 5 }, () =>
      [...harness.tick().command!.values].map((v) => Number(v.toFixed(9))),
    );
    expect(values).toEqual([
      [0.4, 1],
      [0.8, 1],
      [0.4, 0],
      [0, 0],
      [0, 0],
    ]);
  });
});

describe('before the first chunk', () => {
  test('nothing_is_sent', () => {
    expect(new Harness(config(positions)).ticks(3)).toEqual(['nothing', 'nothing', 'nothing']);
  });

  test('with_hold_before_plan_it_holds_the_first_measured_position_for_as_long_as_it_takes', () => {
    const joints = [actionJoint('a'), actionJoint('b', { kind: 'velocity' })];
    const harness = new Harness(config(joints, {}, { holdBeforePlan: true }));
    harness.measured = Float64Array.of(0.3, NaN);
    expect(harness.tick().command).toMatchObject({ time: T0, reason: 'hold', values: Float64Array.of(0.3, 0) });
    harness.measured = Float64Array.of(0.2, NaN);
    expect(harness.ticks(30).at(-1)).toBe('hold 0.3');
  });

  test('nothing_is_sent_while_no_position_is_measured', () => {
    const harness = new Harness(config(positions));
    harness.measured = undefined;
    harness.executeChunk(counting(T0, 0));
    expect(harness.ticks(2)).toEqual(['nothing', 'nothing']);
    harness.measured = Float64Array.of(0, 0);
    expect(harness.ticks(1)).toEqual(['step 0']);
  });

  test('without_joint_space_state_nothing_is_held_and_steps_are_sent', () => {
    const harness = new Harness(config(positions));
    harness.measured = Float64Array.of(NaN, NaN);
    expect(harness.ticks(1)).toEqual(['nothing']);
    harness.executeChunk(counting(T0, 7, 1));
    expect(harness.ticks(2)).toEqual(['step 7', 'hold 7 COMMAND_STARVED']);
  });
});

describe('the first command', () => {
  const limited = [actionJoint('a', { maxVelocity: 2 }), actionJoint('b', { maxVelocity: 2 })];

  test('within_one_periods_reach_of_the_measured_state_it_is_sent', () => {
    const harness = new Harness(config(limited));
    harness.measured = Float64Array.of(1, 1);
    harness.executeChunk(
      chunk(T0, [
        [1.2, 0.8],
        [1.4, 0.6],
      ]),
    );
    expect(harness.ticks(2)).toEqual(['step 1.2', 'step 1.4']);
  });

  test('a_jump_is_refused_with_the_joints_name_and_nothing_is_sent', () => {
    const harness = new Harness(config(limited));
    harness.measured = Float64Array.of(1, 1);
    harness.executeChunk(
      chunk(T0, [
        [1.1, 0.7],
        [1.1, 0.7],
      ]),
    );
    const { command, fault } = harness.tick();
    expect(command).toBeUndefined();
    expect(String(fault)).toBe(
      'COMMAND_JUMP: Expected a first command within 0.2 of 1 for b, received 0.7; not executed',
    );
    expect(harness.schedule.wantsInference).toBe(true);
    expect(harness.ticks(1)).toEqual(['nothing']);
    harness.executeChunk(chunk(harness.now, [[1.1, 0.9]]));
    expect(harness.ticks(1)).toEqual(['step 1.1']);
  });

  test('after_it_a_distant_step_is_approached_at_the_velocity_limit', () => {
    const harness = new Harness(config(limited));
    harness.executeChunk(
      chunk(T0, [
        [0.1, 0],
        [5, 0],
        [5, 0],
      ]),
    );
    expect(harness.ticks(3).map((s) => Number(s.split(' ')[1]).toFixed(6))).toEqual([
      '0.100000',
      '0.300000',
      '0.500000',
    ]);
  });

  test('a_gripper_may_start_from_anywhere', () => {
    const harness = new Harness(config([actionJoint('a', { maxVelocity: 0.1, gripper: true })]));
    harness.measured = Float64Array.of(0.04);
    harness.executeChunk(chunk(T0, [[0], [0]], ['a']));
    expect(harness.ticks(1)).toEqual(['step 0.03']);
  });

  test('it_is_checked_after_every_activation', () => {
    const harness = new Harness(config(limited));
    harness.executeChunk(chunk(T0, [[0.1, 0]]));
    harness.ticks(1);
    harness.deactivate();
    harness.schedule.activate();
    harness.executeChunk(chunk(harness.now + 1n, [[0.5, 0]]));
    expect(harness.ticks(1)).toEqual(['nothing COMMAND_JUMP']);
  });

  test('velocities_start_from_rest', () => {
    const harness = new Harness(config([actionJoint('a', { kind: 'velocity', maxAcceleration: 10 })]));
    harness.executeChunk(chunk(T0, [[3], [3]], ['a']));
    expect(harness.ticks(2)).toEqual(['step 1', 'step 2']);
  });
});

describe('the stop action', () => {
  const arm = [actionJoint('a'), actionJoint('v', { kind: 'velocity' }), actionJoint('g', { gripper: true })];
  const moved = (): Harness => {
    const harness = new Harness(config(arm));
    harness.measured = Float64Array.of(1, NaN, 0.04);
    harness.executeChunk(
      chunk(
        T0,
        [
          [2, 3, 0.01],
          [2, 3, 0],
        ],
        ['a', 'v', 'g'],
      ),
    );
    harness.ticks(1);
    harness.measured = Float64Array.of(1.5, NaN, 0.02);
    return harness;
  };

  test('holds_measured_positions_zeroes_velocities_and_leaves_the_gripper_as_commanded', () => {
    const harness = moved();
    expect(harness.deactivate()).toEqual({
      time: harness.now,
      reason: 'stop',
      values: Float64Array.of(1.5, 0, 0.01),
    });
  });

  test('is_sent_exactly_once_and_nothing_follows_it', () => {
    const harness = moved();
    expect(harness.stop()).toBeDefined();
    expect(harness.stop()).toBeUndefined();
    expect(harness.ticks(2)).toEqual(['nothing', 'nothing']);
    expect(harness.deactivate()).toBeUndefined();
    expect(harness.deactivate()).toBeUndefined();
    expect(harness.ticks(1)).toEqual(['nothing']);
    expect(harness.schedule.wantsInference).toBe(false);
  });

  test('a_gripper_never_commanded_stays_where_it_is_measured', () => {
    const harness = new Harness(config(arm));
    harness.measured = Float64Array.of(1, NaN, 0.03);
    expect(harness.deactivate()?.values).toEqual(Float64Array.of(1, 0, 0.03));
  });

  test('without_a_measurement_positions_stay_as_commanded', () => {
    const harness = moved();
    expect(harness.schedule.deactivate(harness.now, undefined)?.values).toEqual(Float64Array.of(2, 0, 0.01));
  });

  test('a_robot_that_was_neither_commanded_nor_measured_receives_no_command', () => {
    expect(new Harness(config(arm)).schedule.deactivate(T0, undefined)).toBeUndefined();
    expect(new Harness(config(velocities)).schedule.deactivate(T0, undefined)?.values).toEqual(Float64Array.of(0, 0));
  });

  test('commands_resume_after_a_stop_with_a_chunk_of_a_newer_observation', () => {
    const harness = moved();
    harness.stop();
    harness.executeChunk(chunk(harness.now, [[1.6, 0, 0.01]], ['a', 'v', 'g']));
    expect(harness.ticks(1)).toEqual(['nothing']);
    harness.executeChunk(chunk(harness.now, [[1.6, 0, 0.01]], ['a', 'v', 'g']));
    expect(harness.ticks(1)).toEqual(['step 1.6']);
    expect(harness.deactivate()?.reason).toBe('stop');
  });
});

test('no_command_exceeds_a_limit_for_any_chunk', () => {
  const next = random(11);
  const exceeded: string[] = [];
  let steps = 0;
  for (let round = 0; round < 60; round++) {
    const limits = { lower: -0.5, upper: 0.7, maxVelocity: 1 + next(), maxAcceleration: 5 + next() * 20 };
    const joints = [actionJoint('a', limits), actionJoint('b', { ...limits, kind: 'velocity' })];
    const harness = new Harness(
      config(
        joints,
        { mode: next() < 0.5 ? 'sync' : 'async', replanSteps: 1 + Math.floor(next() * 4) },
        { holdBeforePlan: true },
      ),
    );
    const position = [0, 0];
    const velocity = [0, 0];
    for (let tick = 0; tick < 100; tick++) {
      if (harness.schedule.wantsInference && next() < 0.7) {
        const randomSteps = Array.from({ length: 5 }, () => [(next() - 0.5) * 4, (next() - 0.5) * 10]);
        harness.executeChunk(
          chunk(harness.now - BigInt(Math.floor(next() * 2e8)), [[position[0]!, 0], ...randomSteps]),
        );
      }
      if (next() < 0.02) harness.schedule.reset();
      const { reason, values } = harness.tick().command!;
      if (reason === 'step') steps++;
      // The robot follows: positions arrive, velocities are integrated.
      for (const j of [0, 1]) {
        const speed = j === 0 ? (values[0]! - position[0]!) / 0.1 : values[1]!;
        const change = Math.abs(speed - velocity[j]!) / 0.1;
        const where = j === 0 ? values[0]! : position[1]! + values[1]! * 0.1;
        position[j] = where;
        velocity[j] = speed;
        if (!(Math.abs(speed) <= limits.maxVelocity + 1e-9)) exceeded.push(`velocity of ${j}`);
        if (!(change <= limits.maxAcceleration + 1e-6)) exceeded.push(`acceleration of ${j}`);
        if (!(where >= -0.5 - 1e-12 && where <= 0.7 + 1e-12)) exceeded.push(`position of ${j}`);
      }
      harness.measured = Float64Array.from(position);
    }
  }
  expect(exceeded).toEqual([]);
  expect(steps).toBeGreaterThan(2000);
});
