import { describe, expect, test } from '@jest/globals';
import type { ActionJoint, PolicyConfig } from '../../../src/config/config.js';
import type { ProblemsError } from '../../../src/config/problems.js';
import { type RobotLimits, withRobotLimits } from '../../../src/robot/limits.js';
import { parseUrdf } from '../../../src/robot/urdf.js';
import { actionJoint, robot } from '../pipeline/robot.js';

const model = parseUrdf(
  `<robot name="r"><link name="base"/><link name="one"/><link name="two"/><link name="three"/>
    <joint name="a" type="revolute"><parent link="base"/><child link="one"/>
      <limit lower="-1" upper="2" velocity="3"/></joint>
    <joint name="b" type="continuous"><parent link="one"/><child link="two"/><limit velocity="4"/></joint>
    <joint name="c" type="prismatic"><parent link="two"/><child link="three"/>
      <limit lower="0" upper="1" velocity="0"/></joint></robot>`,
  '/robot_description',
);

const ABSENT = { lower: -Infinity, upper: Infinity, maxVelocity: Infinity, maxAcceleration: Infinity };
const a = (changes: Partial<ActionJoint> = {}): ActionJoint => {
  return actionJoint('a', { ...ABSENT, maxAcceleration: 5, ...changes });
};

function merge(joints: readonly ActionJoint[], limits: PolicyConfig['limits'] = 'finite'): RobotLimits {
  return withRobotLimits(robot({ action: { joints, bound: 'none' }, limits }), model);
}

function problems(joints: readonly ActionJoint[], limits: PolicyConfig['limits'] = 'finite'): string[] {
  try {
    merge(joints, limits);
  } catch (error) {
    return (error as ProblemsError).problems.map(({ code, message }) => `${code}: ${message}`);
  }
  return [];
}

describe('the limits of the URDF', () => {
  test('fill_in_for_parameters_that_are_absent', () => {
    const { config, disagreement } = merge([a()]);
    expect(config.action.joints[0]).toMatchObject({ lower: -1, upper: 2, maxVelocity: 3, maxAcceleration: 5 });
    expect(disagreement).toBeUndefined();
  });

  test('apply_where_they_are_stricter_which_is_reported_in_one_line', () => {
    const { config, disagreement } = merge([a({ lower: -0.5, upper: 2.5, maxVelocity: 3.5 })]);
    expect(config.action.joints[0]).toMatchObject({ lower: -0.5, upper: 2, maxVelocity: 3 });
    expect(disagreement).toBe(
      'The limits of /robot_description are stricter than the parameters and apply: a upper 2 instead of 2.5, ' +
        'a max_velocity 3 instead of 3.5',
    );
  });

  test('do_not_apply_where_the_parameters_are_stricter', () => {
    const strict = { lower: -0.5, upper: 0.5, maxVelocity: 0.1 };
    const { config, disagreement } = merge([a(strict)]);
    expect(config.action.joints[0]).toMatchObject(strict);
    expect(disagreement).toBeUndefined();
  });

  test('do_not_concern_commands_that_are_not_joints', () => {
    const value = actionJoint('dx', { ...ABSENT, isJoint: false, kind: 'velocity', lower: -1, upper: 1 });
    expect(merge([value]).config.action.joints[0]).toEqual(value);
  });
});

describe('a problem', () => {
  test('is_a_joint_that_the_URDF_does_not_name', () => {
    expect(problems([actionJoint('d', { ...ABSENT, maxAcceleration: 1 }), a()])).toEqual([
      'ROBOT_DESCRIPTION_JOINT: Expected a moving joint d in /robot_description, received joints a, b, c ' +
        '(action.d.joint: false if the command is not that of a joint)',
    ]);
  });

  test('is_a_velocity_limit_of_0', () => {
    const [problem] = problems([actionJoint('c', { ...ABSENT, maxAcceleration: 1 })]);
    expect(problem).toContain('Expected a moving joint c in /robot_description, received a velocity limit of 0');
  });

  test('is_a_continuous_joint_without_position_limits_of_its_own', () => {
    const [problem, ...others] = problems([actionJoint('b', { ...ABSENT, maxAcceleration: 1 })]);
    expect(others).toEqual([]);
    expect(problem).toContain(
      'LIMIT_MISSING: Expected finite limits for b, received no action.b.lower, action.b.upper: ',
    );
    const given = actionJoint('b', { ...ABSENT, maxAcceleration: 1, lower: -6, upper: 6 });
    expect(merge([given]).config.action.joints[0]).toMatchObject({ lower: -6, upper: 6, maxVelocity: 4 });
  });

  test('is_a_missing_acceleration_which_no_URDF_has', () => {
    expect(problems([a({ maxAcceleration: Infinity })])[0]).toContain('received no action.a.max_acceleration: ');
    expect(problems([a({ maxAcceleration: Infinity })], 'none')).toEqual([]);
  });

  test('are_positions_that_parameters_and_URDF_do_not_both_allow', () => {
    expect(problems([a({ lower: 3, upper: 4 })])).toEqual([
      'CONFIG_RANGE: Expected positions of a that the parameters and /robot_description both allow, received 3 to 4 and -1 to 2',
    ]);
  });
});

test('without_a_URDF_the_parameters_must_have_all_limits', () => {
  const config = robot({ action: { joints: [a()], bound: 'none' } });
  expect(() => withRobotLimits(config, undefined)).toThrow(
    'received no action.a.lower, action.a.upper, action.a.max_velocity: ',
  );
});
