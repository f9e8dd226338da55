import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { configFromFile } from '../../../src/config/file.js';
import { describeMissingLimits } from '../../../src/config/limits.js';
import { SCHEMA } from '../../../src/config/schema.js';
import { packageRoot } from '../root.js';
import { ChangedParameters } from './changed-parameters.js';
import { limitsOf } from './limits-of.js';

/** A velocity joint, a delta joint and a gripper, with all limits. */
const BASE: Readonly<Record<string, unknown>> = {
  checkpoint: '/checkpoint',
  control_rate: 15,
  'schedule.replan_steps': 8n,
  'cameras.names': ['front'],
  'cameras.front.topic': 'front/image',
  'cameras.front.slot': 'base_0_rgb',
  'state.joints': ['j1', 'j2'],
  'action.joints': ['j1', 'j2', 'grip'],
  'action.j1.kind': 'velocity',
  'action.j2.kind': 'delta',
  'action.grip.kind': 'position',
  'action.grip.gripper': true,
  ...limitsOf('j1', 'j2', 'grip'),
};

const parameters = new ChangedParameters(BASE);

/** Parameters without the limits of these joints. */
function without(...joints: readonly string[]): Record<string, undefined> {
  return Object.fromEntries(Object.keys(limitsOf(...joints)).map((name) => [name, undefined]));
}

test('a_configuration_with_all_limits_has_no_problem', () => {
  expect(parameters.problems({})).toEqual([]);
  expect(describeMissingLimits(parameters.config({}))).toBe('');
});

describe('a joint', () => {
  test.each(['lower', 'upper', 'max_velocity', 'max_acceleration'])(
    'without_%s_is_a_problem_that_names_it',
    (limit) => {
      for (const joint of ['j1', 'j2', 'grip']) {
        const [problem, ...others] = parameters.problems({ [`action.${joint}.${limit}`]: undefined });
        expect(others).toEqual([]);
        expect(problem).toContain(
          `LIMIT_MISSING: Expected finite limits for ${joint}, received no action.${joint}.${limit}: `,
        );
        expect(problem).toContain(`write action.${joint}.${limit}: `);
        expect(problem).toContain('action.limits: none');
      }
    },
  );

  test('without_any_limit_is_one_problem_that_says_what_to_write', () => {
    expect(parameters.problems(without('j1'))).toEqual([
      'LIMIT_MISSING: Expected finite limits for j1, received no action.j1.lower, action.j1.upper, action.j1.max_velocity, ' +
        'action.j1.max_acceleration: write action.j1.lower: -1.0, action.j1.upper: 1.0, action.j1.max_velocity: 1.0, ' +
        'action.j1.max_acceleration: 5.0 with the numbers of your robot (rad or m); robot_description_topic or ' +
        'robot_description_file takes positions and velocities from a URDF; action.j1.joint: false if it is not a joint of ' +
        'the robot; action.limits: none moves it without limits',
    ]);
  });

  test.each(['robot_description_topic', 'robot_description_file'])(
    'may_get_positions_and_velocities_from_%s_but_not_its_acceleration',
    (source) => {
      const all = without('j1', 'j2', 'grip');
      expect(parameters.problems({ ...all, [source]: 'robot' }).map((problem) => problem.split(': ', 2)[1])).toEqual(
        ['j1', 'j2', 'grip'].map(
          (joint) => `Expected finite limits for ${joint}, received no action.${joint}.max_acceleration`,
        ),
      );
    },
  );
});

describe('action.limits: none', () => {
  test('allows_joints_without_limits', () => {
    const config = parameters.config({ ...without('j1', 'j2'), 'action.limits': 'none' });
    expect(config.action.joints[0]).toMatchObject({ lower: -Infinity, maxAcceleration: Infinity });
    expect(describeMissingLimits(config)).toBe(
      'j1 (lower, upper, max_velocity, max_acceleration), j2 (lower, upper, max_velocity, max_acceleration)',
    );
  });

  test('does_not_allow_an_integrated_velocity_without_max_velocity_which_limits_its_lead', () => {
    const output = {
      'outputs.names': ['arm'],
      'outputs.arm.topic': 'arm',
      'outputs.arm.type': 'joint_trajectory',
      'outputs.arm.joints': ['j1', 'j2', 'grip'],
    };
    const [problem, ...others] = parameters.problems({ ...output, ...without('j1'), 'action.limits': 'none' });
    expect(others).toEqual([]);
    expect(problem).toContain('LIMIT_MISSING: Expected finite limits for j1, received no action.j1.max_velocity: ');
  });
});

describe('a command that is not a joint', () => {
  const value = { ...without('j1'), 'action.j1.joint': false };

  test('needs_limits_of_its_value_only', () => {
    expect(parameters.problems({ ...value, 'action.j1.lower': -1, 'action.j1.upper': 1 })).toEqual([]);
    expect(parameters.problems(value).map((problem) => problem.split(': ', 2)[1])).toEqual([
      'Expected finite limits for j1, received no action.j1.lower, action.j1.upper',
    ]);
    expect(parameters.problems({ ...value, robot_description_file: 'arm.urdf' })).toHaveLength(1);
  });

  test('must_be_able_to_stop', () => {
    expect(parameters.problems({ ...value, 'action.j1.lower': 0.5, 'action.j1.upper': 1 })).toEqual([
      'CONFIG_RANGE: Expected 0, which stops j1, between its lower and upper, received 0.5 and 1',
    ]);
  });

  test('is_neither_a_delta_nor_integrated_nor_a_position_that_is_held', () => {
    const changes = { 'action.j2.joint': false };
    expect(parameters.problems(changes)).toEqual([
      'CONFIG_RANGE: Expected a joint of the robot for j2, received joint: false with kind delta',
    ]);
    expect(parameters.problems({ ...changes, 'action.j2.kind': 'position' })).toEqual([
      'CONFIG_RANGE: Expected kind velocity or gripper: true for j2, which is not a joint that the stop action can hold, received neither',
    ]);
  });
});

test('a_robot_description_comes_from_one_source', () => {
  expect(
    parameters.problems({ robot_description_topic: 'robot_description', robot_description_file: 'arm.urdf' }),
  ).toEqual([
    'CONFIG_RANGE: Expected one of robot_description_topic and robot_description_file, received robot_description and arm.urdf',
  ]);
});

test('no_parameter_is_infinite_by_default', () => {
  const defaults = Object.values(SCHEMA).map((declaration) => ('default' in declaration ? declaration.default : 0));
  expect(defaults.filter((value) => value === Infinity || value === -Infinity)).toEqual([]);
});

test.each(readdirSync(join(packageRoot, 'configs')).filter((name) => /^(demo|pi05_.*)\.yaml$/.test(name)))(
  '%s_has_all_limits',
  (name) => {
    const config = configFromFile(join(packageRoot, 'configs', name));
    expect(config.limits).toBe('finite');
    expect(describeMissingLimits(config)).toBe('');
  },
);
