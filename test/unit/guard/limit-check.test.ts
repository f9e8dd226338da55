import { describe, expect, test } from '@jest/globals';
import type { ActionJoint, PolicyConfig } from '../../../src/config/config.js';
import { LimitCheck, type Measured } from '../../../src/guard/limit-check.js';
import { actionJoint, MS, robot, SECOND } from '../pipeline/robot.js';
import { measured } from './harness.js';

const LIMITS = { lower: -1, upper: 1, maxVelocity: 2, maxAcceleration: 5 };
const PERIOD = 100n * MS;

/** A check of one joint at 10 Hz, and its clock. */
class Single {
  readonly check: LimitCheck;
  now = SECOND;
  measured = 0;
  age = 0n;

  constructor(joint: ActionJoint, schedule: Partial<PolicyConfig['schedule']> = {}) {
    this.check = new LimitCheck(robot({ action: { joints: [joint], bound: 'none' } }, schedule));
  }

  /** Whether each of these commands passes, one period apart. */
  passes(...values: number[]): boolean[] {
    return values.map((value) => this.problem(value) === undefined);
  }

  get reading(): Measured | undefined {
    return Number.isNaN(this.measured) ? undefined : measured([this.measured], this.age);
  }

  problem(value: number): string | undefined {
    this.now += PERIOD;
    return this.check.checkCommand(Float64Array.of(value), this.now, this.reading);
  }
}

const position = (changes: Partial<ActionJoint> = {}): Single =>
  new Single(actionJoint('j', { ...LIMITS, ...changes }));
const velocity = (changes: Partial<ActionJoint> = {}): Single => position({ kind: 'velocity', ...changes });

describe('every command', () => {
  test.each([NaN, Infinity, -Infinity])('must_be_finite: %p', (value) => {
    for (const single of [position(), velocity()])
      expect(single.problem(value)).toMatch(/Expected a finite command for j/);
  });

  test('must_have_one_value_for_each_joint', () => {
    const { check } = position();
    expect(check.checkCommand(Float64Array.of(0, 0), 0n, undefined)).toMatch(
      /Expected 1 values in a command, received 2/,
    );
    expect(check.checkCommand(new Float64Array(0), 0n, undefined)).toMatch(/received 0/);
  });

  test('must_not_come_faster_than_the_control_rate_beyond_a_burst_of_three', () => {
    const send = (single: Single, count: number): boolean[] =>
      Array.from({ length: count }, () => single.check.checkCommand(Float64Array.of(0), 0n, undefined) === undefined);
    const free = { lower: -Infinity, upper: Infinity };
    expect(send(velocity(free), 6)).toEqual([true, true, true, true, false, false]);
    const single = position(free);
    expect(send(single, 5)).toEqual([true, true, true, true, false]);
    single.check.checkCommand(Float64Array.of(0.1), 0n, undefined);
    expect(single.passes(0.04)).toEqual([true]);
    const lockstep = new Single(actionJoint('j', { kind: 'velocity' }), { lockstep: true });
    expect(send(lockstep, 100)).toEqual(new Array(100).fill(true));
  });
});

describe('a position', () => {
  test('is_compared_with_the_last_command_that_passed', () => {
    expect(position().passes(0, 0.05, 0.15, 0.3, 0.6)).toEqual([true, true, true, true, false]);
    const single = position();
    expect(single.passes(0, 0.15, 0.4, 0.35)).toEqual([true, true, false, true]);
  });

  test('must_respect_the_acceleration_from_the_second_command_after_the_first_on', () => {
    // The first command says nothing about the velocity: 0.1 in one period is any velocity up to 2.
    expect(position().passes(0, 0.1, 0.25)).toEqual([true, true, true]);
    expect(position().passes(0, 0.1, 0.2501)).toEqual([true, true, false]);
    expect(position().passes(0, 0.1, 0.15)).toEqual([true, true, true]);
    expect(position().passes(0, 0.1, 0.1499)).toEqual([true, true, false]);
  });

  test('must_allow_braking_before_the_limit', () => {
    const single = position({ maxAcceleration: 5 });
    single.measured = 0.6;
    // 2 per s at 0.8: 0.2 are left, and braking needs more.
    expect(single.passes(0.6, 0.7, 0.85)).toEqual([true, true, false]);
  });

  test('must_be_within_its_limits_or_not_further_out_than_measured', () => {
    const single = position();
    single.measured = 1.2;
    expect(single.passes(1.3)).toEqual([false]);
    expect(single.passes(1.2)).toEqual([true]);
  });

  test.each([1e300, -1e300, 3.1])('must_not_be_where_the_joint_cannot_be_measured: %p', (value) => {
    const single = position();
    single.measured = value;
    expect(single.passes(value)).toEqual([false]);
  });

  test('that_comes_first_must_be_near_the_measured_one', () => {
    // 2 per s for 0.3 s: the largest age of a measurement and one period, 0.2 s, and the period of the command.
    expect(position().passes(0.6)).toEqual([true]);
    expect(position().passes(0.61)).toEqual([false]);
  });

  test('that_comes_first_while_the_measured_one_is_unknown_must_be_within_its_limits', () => {
    const unknown = position();
    unknown.measured = NaN;
    expect(unknown.passes(1.1, 1)).toEqual([false, true]);
  });

  test('starts_from_the_measured_one_again_after_a_reset', () => {
    const single = position();
    single.passes(0);
    single.measured = 0.9;
    single.check.reset();
    expect(single.passes(0.9)).toEqual([true]);
  });

  test('of_an_integrated_velocity_may_brake_harder_but_not_turn', () => {
    const integrated = (): Single => position({ kind: 'velocity', integrated: true });
    expect(integrated().passes(0, 0.1, 0.1)).toEqual([true, true, true]);
    expect(integrated().passes(0, 0.1, 0.09)).toEqual([true, true, false]);
    expect(position().passes(0, 0.1, 0.1)).toEqual([true, true, false]);
  });

  test('of_an_integrated_velocity_may_not_brake_beyond_a_limit', () => {
    const integrated = position({ kind: 'velocity', integrated: true });
    integrated.measured = 0.97;
    expect(integrated.passes(0.97, 0.98, 0.99, 1.0001, 1)).toEqual([true, true, true, false, true]);
  });
});

describe('a velocity', () => {
  test('must_be_at_most_the_largest', () => {
    const fast = { maxAcceleration: Infinity };
    expect(velocity(fast).passes(2, -2, 2.0001)).toEqual([true, true, false]);
  });

  test('may_rise_by_the_acceleration_and_fall_to_zero_at_once', () => {
    expect(velocity().passes(0.5, 1, 0)).toEqual([true, true, true]);
    expect(velocity().passes(0.5001)).toEqual([false]);
    expect(velocity().passes(0.5, 1, -0.1)).toEqual([true, true, false]);
  });

  test('must_allow_the_joint_to_stop_before_its_limit', () => {
    const near = (measured: number, value: number): boolean => {
      const single = velocity({ maxAcceleration: 20 });
      single.measured = measured;
      return single.passes(value)[0]!;
    };
    // 1 per s needs 1 / 40 to stop at 20 per s². The tolerance is 0.002.
    expect([near(0.97, 1), near(0.98, 1), near(0.98, -1), near(1.1, -1), near(1.1, 0), near(1.1, 0.01)]).toEqual([
      true,
      false,
      true,
      true,
      true,
      false,
    ]);
    expect([near(-0.97, -1), near(-0.98, -1)]).toEqual([true, false]);
  });

  test('must_not_lead_out_of_the_limits_where_the_joint_can_stop_at_once', () => {
    const single = velocity({ maxAcceleration: Infinity });
    single.measured = 1.003;
    expect(single.passes(0.1, -0.1)).toEqual([false, true]);
  });

  test('takes_the_age_of_the_measurement_into_account', () => {
    const single = velocity({ maxAcceleration: 20, maxVelocity: 1 });
    single.measured = 0.8;
    expect(single.passes(1)).toEqual([true]);
    // 0.2 s ago the joint was at 0.8 and moved at 1 per s: it is at its limit. One period, 0.1, is allowed for.
    single.age = 200n * MS;
    expect(single.passes(1)).toEqual([true]);
    single.measured = 0.9;
    expect(single.passes(1)).toEqual([false]);
  });

  test('is_checked_again_while_the_joint_moves', () => {
    const single = velocity({ maxAcceleration: 20, maxVelocity: 1 });
    expect([single.passes(1), single.check.checkMotion(single.reading)]).toEqual([[true], undefined]);
    single.measured = 1.07;
    expect(single.check.checkMotion(single.reading)).toBeUndefined();
    single.measured = 1.08;
    expect(single.check.checkMotion(single.reading)).toMatch(/Expected j to stop before its limit 1 from 1.08/);
    single.check.reset();
    expect(single.check.checkMotion(single.reading)).toBeUndefined();
  });
});

describe('a command that is not a joint', () => {
  const value = (kind: ActionJoint['kind']): Single => {
    const free = { maxVelocity: Infinity, maxAcceleration: Infinity };
    return position({ kind, isJoint: false, gripper: kind === 'position', ...free });
  };

  test.each(['velocity', 'position'] as const)('is_limited_in_its_value_only: %s', (kind) => {
    const single = value(kind);
    single.measured = NaN;
    expect(single.passes(1, -1, 0.5, 1.01, -1.01, 0)).toEqual([true, true, true, false, false, true]);
  });

  test('passes_wherever_a_joint_of_that_name_is', () => {
    const single = value('velocity');
    single.measured = 5;
    expect(single.passes(0.9)).toEqual([true]);
    expect(single.check.checkMotion(single.reading)).toBeUndefined();
  });
});
