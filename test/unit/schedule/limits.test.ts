import { describe, expect, test } from '@jest/globals';
import type { ActionJoint } from '../../../src/config/config.js';
import { integrateVelocity, limitPosition, limitVelocity } from '../../../src/schedule/limits.js';
import type { JointMotion } from '../../../src/schedule/limits.js';
import { actionJoint, random } from '../pipeline/robot.js';

const PERIOD = 0.1;
const still = (position: number): { position: number; velocity: number } => ({ position, velocity: 0 });

describe('commands that are not joints', () => {
  const limits = { isJoint: false, lower: -1, upper: 2 };

  test('have_a_limited_value_wherever_a_joint_of_that_name_is', () => {
    const joint = actionJoint('dx', { ...limits, kind: 'velocity' });
    for (const position of [NaN, 0, 5]) {
      const last = { position, velocity: 0 };
      const values = [0.5, 5, -5].map((wanted) => limitVelocity(wanted, joint, last, PERIOD));
      expect(values).toEqual([0.5, 2, -1]);
    }
  });

  test('may_be_positions_such_as_those_of_a_gripper_in_other_units', () => {
    const joint = actionJoint('hand', { ...limits, upper: 255, gripper: true });
    expect(limitPosition(200, joint, still(0), PERIOD)).toBe(200);
    expect(limitPosition(300, joint, still(200), PERIOD)).toBe(255);
  });
});

describe('positions', () => {
  test('without_limits_the_wanted_value_is_returned_bit_for_bit', () => {
    const next = random(1);
    for (let i = 0; i < 1000; i++) {
      const wanted = next() * 20 - 10;
      const allowed = limitPosition(wanted, actionJoint('j'), { position: next() * 20 - 10, velocity: next() }, PERIOD);
      if (allowed !== wanted) throw new Error(`${wanted} became ${allowed}`);
    }
  });

  test('a_position_beyond_a_limit_becomes_the_limit', () => {
    const joint = actionJoint('j', { lower: -1, upper: 2 });
    expect(limitPosition(5, joint, still(0), PERIOD)).toBe(2);
    expect(limitPosition(-5, joint, still(0), PERIOD)).toBe(-1);
  });

  test('a_step_is_at_most_the_velocity_limit_times_the_period', () => {
    expect(limitPosition(5, actionJoint('j', { maxVelocity: 2 }), still(1), PERIOD)).toBeCloseTo(1.2, 12);
  });

  test('the_step_grows_at_most_by_the_acceleration_limit', () => {
    const joint = actionJoint('j', { maxAcceleration: 3 });
    expect(limitPosition(5, joint, still(0), PERIOD)).toBeCloseTo(0.03, 12);
    expect(limitPosition(5, joint, { position: 0, velocity: 1 }, PERIOD)).toBeCloseTo(0.13, 12);
    expect(limitPosition(0, joint, { position: 0, velocity: 1 }, PERIOD)).toBeCloseTo(0.07, 12);
  });

  test('outside_its_limits_a_joint_returns_within_its_velocity_limit_and_moves_no_further_out', () => {
    const joint = actionJoint('j', { upper: 1, maxVelocity: 1 });
    expect(limitPosition(3, joint, still(1.5), PERIOD)).toBeCloseTo(1.4, 12);
    expect(limitPosition(3, actionJoint('j', { upper: 1 }), still(1.5), PERIOD)).toBe(1);
  });

  test('random_targets_never_exceed_any_limit', () => {
    const next = random(2);
    const exceeded: string[] = [];
    for (let round = 0; round < 200; round++) {
      const joint = actionJoint('j', {
        lower: -next(),
        upper: next(),
        maxVelocity: next() < 0.3 ? Infinity : next() * 4,
        maxAcceleration: next() < 0.3 ? Infinity : next() * 20 + 0.01,
      });
      let position = 0;
      let velocity = 0;
      for (let tick = 0; tick < 200; tick++) {
        const value = limitPosition((next() - 0.5) * 6, joint, { position, velocity }, PERIOD);
        const moved = (value - position) / PERIOD;
        if (!(value >= joint.lower && value <= joint.upper)) exceeded.push(`position ${value}`);
        if (!(Math.abs(moved) <= joint.maxVelocity + 1e-9)) exceeded.push(`velocity ${moved}`);
        if (!(Math.abs(moved - velocity) / PERIOD <= joint.maxAcceleration + 1e-6))
          exceeded.push(`acceleration ${moved - velocity}`);
        position = value;
        velocity = moved;
      }
    }
    expect(exceeded).toEqual([]);
  });
});

describe('velocities', () => {
  test('without_limits_the_wanted_value_is_returned', () => {
    expect(limitVelocity(-123.4, actionJoint('j', { kind: 'velocity' }), { position: NaN, velocity: 0 }, PERIOD)).toBe(
      -123.4,
    );
  });

  test('a_velocity_toward_a_limit_does_not_cross_it_in_the_next_period', () => {
    const joint = actionJoint('j', { upper: 1, lower: -1 });
    expect(limitVelocity(5, joint, still(0.9), PERIOD)).toBeCloseTo(1, 12);
    expect(limitVelocity(-5, joint, still(-0.95), PERIOD)).toBeCloseTo(-0.5, 12);
    expect(limitVelocity(-5, joint, still(0.9), PERIOD)).toBe(-5);
  });

  test('at_or_beyond_a_limit_only_motion_back_is_allowed', () => {
    const joint = actionJoint('j', { upper: 1, lower: -1 });
    for (const position of [1, 1.3]) {
      expect(limitVelocity(0.1, joint, still(position), PERIOD)).toBe(0);
      expect(limitVelocity(-0.1, joint, still(position), PERIOD)).toBe(-0.1);
    }
  });

  test('a_joint_with_a_limit_does_not_move_while_its_position_is_unknown', () => {
    const unknown = { position: NaN, velocity: 1 };
    expect(limitVelocity(1, actionJoint('j', { upper: 1, lower: -1 }), unknown, PERIOD)).toBeCloseTo(0, 12);
    expect(limitVelocity(1, actionJoint('j', { upper: 1 }), unknown, PERIOD)).toBe(0);
  });

  test('before_a_limit_the_position_limit_takes_precedence_over_the_acceleration_limit', () => {
    const joint = actionJoint('j', { upper: 1, maxAcceleration: 1 });
    expect(limitVelocity(5, joint, { position: 0.99, velocity: 4 }, PERIOD)).toBeCloseTo(0.1, 12);
  });

  test('it_brakes_no_earlier_than_the_acceleration_limit_requires', () => {
    // One period of 0.1 s at 1 per second, then braking at 5 per second squared over 0.1: 0.2 in all.
    const joint = actionJoint('j', { upper: 1, maxAcceleration: 5 });
    expect(limitVelocity(1.4, joint, { position: 0.8, velocity: 1 }, PERIOD)).toBeCloseTo(1, 12);
  });

  test('random_velocities_stay_inside_every_limit_when_the_robot_follows', () => {
    const next = random(3);
    const exceeded: string[] = [];
    for (let round = 0; round < 200; round++) {
      const joint = actionJoint('j', {
        kind: 'velocity',
        lower: -next(),
        upper: next(),
        maxVelocity: next() * 4,
        maxAcceleration: next() < 0.3 ? Infinity : next() * 20 + 0.01,
      });
      let position = 0;
      let velocity = 0;
      for (let tick = 0; tick < 200; tick++) {
        const value = limitVelocity((next() - 0.5) * 20, joint, { position, velocity }, PERIOD);
        if (!(Math.abs(value) <= joint.maxVelocity)) exceeded.push(`velocity ${value}`);
        if (!(Math.abs(value - velocity) / PERIOD <= joint.maxAcceleration + 1e-6))
          exceeded.push(`acceleration ${value - velocity}`);
        position += value * PERIOD;
        if (!(position >= joint.lower - 1e-12 && position <= joint.upper + 1e-12))
          exceeded.push(`position ${position}`);
        velocity = value;
      }
    }
    expect(exceeded).toEqual([]);
  });
});

describe('integrated velocities', () => {
  const AGE = 0.3;
  const limited = (changes: Partial<ActionJoint> = {}): ActionJoint =>
    actionJoint('j', { kind: 'velocity', integrated: true, maxVelocity: 2, ...changes });
  const integrate = (wanted: number, joint: ActionJoint, last: JointMotion, measured: number): number =>
    integrateVelocity(wanted, joint, last, measured, PERIOD, AGE);

  test('it_is_one_period_at_the_velocity_from_the_last_command_not_from_the_measured_position', () => {
    for (const measured of [1, 0.8, 1.2]) expect(integrate(1.5, limited(), still(1), measured)).toBeCloseTo(1.15, 12);
  });

  test('velocity_0_keeps_the_last_command_bit_for_bit_however_far_the_joint_is_from_it', () => {
    for (const measured of [1, 0.8, -5, 5, NaN])
      expect(integrate(0, limited(), still(0.1 + 0.2), measured)).toBe(0.1 + 0.2);
  });

  test('it_is_no_further_ahead_than_the_joint_can_have_moved_since_the_measurement', () => {
    // 2 per second for 0.3 + 0.1 s.
    expect(integrate(2, limited(), still(0.7), 0)).toBeCloseTo(0.8, 12);
    expect(integrate(-2, limited(), still(-0.7), 0)).toBeCloseTo(-0.8, 12);
    expect(integrate(2, limited(), still(0.9), 0)).toBe(0.9);
    expect(integrate(-2, limited(), still(0.9), 0)).toBeCloseTo(0.7, 12);
  });

  test('a_blocked_joint_has_no_windup_and_a_free_one_continues', () => {
    const run = (follow: number): number => {
      let last = still(0);
      let measured = 0;
      for (let tick = 0; tick < 100; tick++) {
        const position = integrate(2, limited({ maxAcceleration: 10 }), last, measured);
        last = { position, velocity: (position - last.position) / PERIOD };
        measured += (position - measured) * follow;
      }
      return last.position;
    };
    expect(run(0)).toBeCloseTo(0.8, 12);
    // A joint that lags by half a command at each tick is as fast as commanded: it arrives after 0.1 of 10 s.
    expect(run(0.5)).toBeCloseTo(19.9, 9);
  });

  test('a_joint_whose_position_is_unknown_keeps_its_command', () => {
    expect(integrate(2, limited(), { position: 0.4, velocity: 2 }, NaN)).toBe(0.4);
  });

  test('outside_its_limits_a_joint_moves_no_further_out_and_back_only_on_command', () => {
    const joint = limited({ lower: -1, upper: 1 });
    expect(integrate(2, joint, still(1.3), 1.3)).toBe(1.3);
    expect(integrate(0, joint, still(1.3), 1.3)).toBe(1.3);
    expect(integrate(-1, joint, still(1.3), 1.3)).toBeCloseTo(1.2, 12);
  });

  test('random_velocities_never_exceed_any_limit', () => {
    const next = random(4);
    const exceeded: string[] = [];
    let atLimit = 0;
    for (let round = 0; round < 200; round++) {
      const joint = limited({
        lower: -next(),
        upper: next(),
        maxVelocity: next() * 4,
        maxAcceleration: next() < 0.3 ? Infinity : next() * 20 + 0.01,
      });
      let last = still(0);
      let measured = 0;
      for (let tick = 0; tick < 200; tick++) {
        const position = integrate((next() - 0.3) * 20, joint, last, measured);
        const velocity = (position - last.position) / PERIOD;
        if (!(position >= joint.lower && position <= joint.upper)) exceeded.push(`position ${position}`);
        if (!(Math.abs(velocity) <= joint.maxVelocity + 1e-9)) exceeded.push(`velocity ${velocity}`);
        if (!(Math.abs(velocity - last.velocity) / PERIOD <= joint.maxAcceleration + 1e-6))
          exceeded.push(`acceleration ${velocity - last.velocity}`);
        if (position === joint.upper) atLimit++;
        last = { position, velocity };
        measured = position;
      }
    }
    expect(exceeded).toEqual([]);
    expect(atLimit).toBeGreaterThan(100);
  });
});
