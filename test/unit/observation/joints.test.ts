import { describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { Refusal } from '../../../src/errors.js';
import type { JointReading } from '../../../src/frame/frame.js';
import { JointTracker } from '../../../src/observation/joint-tracker.js';
import { actionJoint, joints, MS, robot, stateJoint } from '../pipeline/robot.js';

const { state } = robot();

/** Joints a, b and the gripper g, whose value is 0 open (0.04 m) and 1 closed. */
const config: PolicyConfig = robot({
  state: { ...state, joints: [stateJoint('a'), stateJoint('b'), stateJoint('g', { offset: 0.04, scale: -0.04 })] },
  action: { joints: [actionJoint('g'), actionJoint('a', { kind: 'velocity' })], bound: 'none' },
});

/** State and measured positions after one message. */
function read(reading: JointReading, readerConfig: PolicyConfig = config): { state: number[]; measured: number[] } {
  const tracker = new JointTracker(readerConfig);
  const update = tracker.update(reading, 'joint_states', reading.stamp);
  if (update.outcome !== 'accepted' || update.sample === undefined) throw new Error('the joints are not complete');
  return { state: [...update.sample.state], measured: [...tracker.measured(reading.stamp)!.positions] };
}

function refused(reading: JointReading, readerConfig: PolicyConfig = config): { code: string; message: string } {
  try {
    new JointTracker(readerConfig).update(reading, 'joint_states', reading.stamp);
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('mapping by name', () => {
  test('the_order_of_the_message_does_not_matter', () => {
    expect(read(joints(3n, { g: 0.01, b: 2, a: 1 }))).toEqual({ state: [1, 2, 0.75], measured: [0.01, 1] });
  });

  test('extra_joints_do_not_matter_whatever_they_hold', () => {
    const reading = joints(3n, { wheel: NaN, g: 0.01, b: 2, a: 1, x: Infinity });
    const twice = { ...reading, name: ['wheel', 'g', 'b', 'a', 'wheel'] };
    expect(read(reading).state).toEqual([1, 2, 0.75]);
    expect(read(twice).state).toEqual([1, 2, 0.75]);
  });

  test('each_joint_is_read_from_its_own_source', () => {
    const sources = [stateJoint('a', { source: 'effort' }), stateJoint('b', { source: 'velocity' }), stateJoint('b')];
    const other = robot({ state: { ...state, joints: sources }, action: { joints: [], bound: 'none' } });
    const reading = { ...joints(0n, { a: 1, b: 2 }), velocity: Float64Array.of(3, 4), effort: Float64Array.of(5, 6) };
    expect(read(reading, other).state).toEqual([5, 4, 2]);
  });

  test('sources_that_are_not_needed_may_be_absent_or_wrong', () => {
    const reading = {
      ...joints(0n, { a: 1, b: 2, g: 0 }),
      velocity: Float64Array.of(NaN),
      effort: Float64Array.of(1, 2),
    };
    expect(() => read(reading)).not.toThrow();
  });
});

describe('measured positions', () => {
  test('a_velocity_joint_that_is_integrated_is_measured', () => {
    const joint = actionJoint('a', { kind: 'velocity', integrated: true, maxVelocity: 1 });
    const other = robot({ action: { joints: [joint], bound: 'none' } });
    expect(read(joints(0n, { a: 1.5, b: 0 }), other).measured).toEqual([1.5]);
  });

  test('a_velocity_joint_with_a_position_limit_is_measured', () => {
    const other = robot({ action: { joints: [actionJoint('a', { kind: 'velocity', upper: 2 })], bound: 'none' } });
    expect(read(joints(0n, { a: 1.5, b: 0 }), other).measured).toEqual([1.5]);
  });

  test('a_command_that_is_not_a_joint_is_not_measured', () => {
    const value = actionJoint('a', { kind: 'velocity', isJoint: false, lower: -1, upper: 1 });
    const hand = actionJoint('hand', { isJoint: false, gripper: true, lower: 0, upper: 255 });
    const other = robot({ action: { joints: [value, hand], bound: 'none' } });
    expect(read(joints(0n, { a: 1.5, b: 0 }), other).measured).toEqual([NaN, NaN]);
  });

  test('an_action_joint_outside_the_state_must_be_there_too', () => {
    const other = robot({ action: { joints: [actionJoint('finger')], bound: 'none' } });
    const tracker = new JointTracker(other);
    tracker.update(joints(0n), 'joint_states', 0n);
    expect(tracker.measured(0n)).toBeUndefined();
    expect(
      tracker.conditions(200n * MS).flatMap(({ code, sentence }) => (sentence ? [`${code}: ${sentence}`] : [])),
    ).toEqual([
      'JOINT_MISSING: Expected 3 values for state, received 2 from joint_states (missing: finger)',
      'STATE_STALE: Expected valid data at most 0.100 s old for a, b on joint_states, received the last 0.200 s ago',
    ]);
  });
});

describe('refusals', () => {
  test('an_array_shorter_than_the_names_is_refused_with_the_joints_that_have_no_value', () => {
    const reading = { ...joints(0n), name: ['a', 'b', 'g'] };
    expect(refused(reading)).toEqual({
      code: 'JOINT_COUNT',
      message: 'Expected 3 positions for 3 names, received 2 from joint_states (no value for: g)',
    });
  });

  test('an_array_longer_than_its_names_is_refused', () => {
    const reading = { ...joints(0n, { a: 1, b: 2, g: 3, x: 4 }), name: ['a', 'b', 'g'] };
    expect(refused(reading)).toEqual({
      code: 'JOINT_COUNT',
      message: 'Expected 3 positions for 3 names, received 4 from joint_states',
    });
  });

  test('a_needed_source_that_is_empty_is_refused', () => {
    const other = robot({ state: { ...state, joints: [stateJoint('a', { source: 'velocity' })] } });
    expect(refused(joints(0n), other)).toEqual({
      code: 'JOINT_COUNT',
      message: 'Expected 2 velocities for 2 names, received 0 from joint_states (no value for: a, b)',
    });
  });

  test('a_joint_that_appears_twice_is_named', () => {
    const reading = { ...joints(0n, { a: 1, b: 2, g: 3, x: 4 }), name: ['a', 'b', 'g', 'b'] };
    expect(refused(reading)).toEqual({
      code: 'JOINT_DUPLICATE',
      message: 'Expected each joint once, received more than one value from joint_states for: b',
    });
  });

  test.each([NaN, Infinity, -Infinity])('%d is refused with the joint that has it', (value) => {
    expect(refused(joints(0n, { a: 1, b: value, g: 3 }))).toEqual({
      code: 'JOINT_NOT_FINITE',
      message: `Expected finite positions, received ${value} for b from joint_states`,
    });
  });

  test('a_reading_outside_its_limits_is_refused_with_each_joint_concerned_and_one_at_the_limits_is_accepted', () => {
    const limits = [stateJoint('a', { lower: -1, upper: 1 }), stateJoint('b', { upper: 2 })];
    const other = robot({ state: { ...state, joints: limits } });
    expect(read(joints(0n, { a: -1, b: 2 }), other).state).toEqual([-1, 2]);
    expect(read(joints(0n, { a: 1, b: -9 }), other).state).toEqual([1, -9]);
    expect(refused(joints(0n, { a: -1.5, b: 2.25 }), other)).toEqual({
      code: 'JOINT_RANGE',
      message: 'Expected a from -1 to 1, b from -Infinity to 2, received -1.5 for a, 2.25 for b from joint_states',
    });
  });

  test('limits_apply_to_the_value_in_the_message_not_to_the_models', () => {
    const finger = stateJoint('a', { source: 'velocity', scale: -0.04, offset: 0.04, lower: -0.01, upper: 0.05 });
    const other = robot({ state: { ...state, joints: [finger] }, action: { joints: [], bound: 'none' } });
    const reading = (velocity: number) => ({ ...joints(0n, { a: 9 }), velocity: Float64Array.of(velocity) });
    expect(read(reading(0.04), other).state).toEqual([-0]);
    expect(refused(reading(0.06), other).code).toBe('JOINT_RANGE');
  });
});
