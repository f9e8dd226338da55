import { describe, expect, test } from '@jest/globals';
import { limitPosition, limitVelocity } from '../../../src/schedule/limits.js';
import { actionJoint, random } from '../pipeline/robot.js';

const PERIOD = 0.1;
const still = (position: number): { position: number; velocity: number } => ({ position, velocity: 0 });

describe('positions', () => {
  test('without_limits_the_wanted_value_comes_back_bit_for_bit', () => {
    const next = random(1);
    for (let i = 0; i < 1000; i++) {
      const wanted = next() * 20 - 10;
      const allowed = limitPosition(wanted, actionJoint('j'), { position: next() * 20 - 10, velocity: next() }, PERIOD);
      if (allowed !== wanted) throw new Error(`${wanted} became ${allowed}`);
    }
  });

  test('beyond_a_limit_it_is_the_limit', () => {
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

  test('outside_its_limits_a_joint_goes_back_at_its_own_speed_and_never_further_out', () => {
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
  test('without_limits_the_wanted_value_comes_back', () => {
    expect(limitVelocity(-123.4, actionJoint('j', { kind: 'velocity' }), { position: NaN, velocity: 0 }, PERIOD)).toBe(
      -123.4,
    );
  });

  test('toward_a_limit_it_is_what_the_next_period_has_room_for', () => {
    const joint = actionJoint('j', { upper: 1, lower: -1 });
    expect(limitVelocity(5, joint, still(0.9), PERIOD)).toBeCloseTo(1, 12);
    expect(limitVelocity(-5, joint, still(-0.95), PERIOD)).toBeCloseTo(-0.5, 12);
    expect(limitVelocity(-5, joint, still(0.9), PERIOD)).toBe(-5);
  });

  test('at_or_beyond_a_limit_only_the_way_back_is_open', () => {
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

  test('before_a_limit_the_position_limit_wins_over_the_acceleration_limit', () => {
    const joint = actionJoint('j', { upper: 1, maxAcceleration: 1 });
    expect(limitVelocity(5, joint, { position: 0.99, velocity: 4 }, PERIOD)).toBeCloseTo(0.1, 12);
  });

  test('it_brakes_no_sooner_than_its_acceleration_limit_makes_it', () => {
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
