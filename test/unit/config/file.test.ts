import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { configFromFile, parametersFromFile } from '../../../src/config/file.js';
import type { ProblemsError } from '../../../src/config/problems.js';
import { packageRoot } from '../root.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-config-'));
  path = join(directory, 'robot.yaml');
});
afterEach(() => rmSync(directory, { recursive: true }));

function read(text: string): Record<string, unknown> {
  writeFileSync(path, text);
  return Object.fromEntries(parametersFromFile(path));
}

function problems(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    return String(error).split('\n');
  }
  return [];
}

describe('values have the types that ROS gives them', () => {
  // rcl_yaml_param_parser's get_value: booleans of YAML 1.1, strtol with base 0, strtod, else a string.
  test.each<[string, unknown]>([
    ['true', true],
    ['Yes', true],
    ['on', true],
    ['N', false],
    ['off', false],
    ['15', 15n],
    ['-15', -15n],
    ['+15', 15n],
    ['0x1F', 31n],
    ['-0x1f', -31n],
    ['010', 8n],
    ['0', 0n],
    ['08', 8],
    ['9223372036854775807', 9223372036854775807n],
    ['9223372036854775808', 9223372036854775808],
    ['15.0', 15],
    ['15.', 15],
    ['.5', 0.5],
    ['1e3', 1000],
    ['-.inf', -Infinity],
    ['.Inf', Infinity],
    ['+.INF', Infinity],
    ['-inf', -Infinity],
    ['.nan', NaN],
    ['nan', NaN],
    ['1e400', '1e400'],
    ['~/chunk', '~/chunk'],
    ['~', '~'],
    ['null', 'null'],
    ['yes please', 'yes please'],
    ['"15"', '15'],
    ["'true'", 'true'],
    ['""', ''],
    ['2026-11-21', '2026-11-21'],
    ['1_000', '1_000'],
    ['0b11', '0b11'],
    ['[1, 2]', [1n, 2n]],
    ['[1.0, 2.5]', [1, 2.5]],
    ['[a, "1"]', ['a', '1']],
    ['[]', []],
  ])('%s', (text, value) => expect(read(`/**: {ros__parameters: {p: ${text}}}`)).toEqual({ p: value }));
});

describe('a parameter file', () => {
  test('may_have_nested_keys_and_keys_with_dots', () => {
    expect(read('/**:\n  ros__parameters:\n    a:\n      b: 1\n      c.d: 2\n    a.e: 3\n')).toEqual({
      'a.b': 1n,
      'a.c.d': 2n,
      'a.e': 3n,
    });
  });

  test.each(['/**', '/*', 'policy_node', '/policy_node', '/robot/policy_node', '/**/policy_node'])(
    'addresses_the_node_as_%s',
    (name) => expect(read(`${name}:\n  ros__parameters:\n    a: 1\n`)).toEqual({ a: 1n }),
  );

  test('may_nest_namespaces', () => {
    expect(read('robot:\n  policy_node:\n    ros__parameters:\n      a: 1\n')).toEqual({ a: 1n });
  });

  test('applies_its_entries_in_order_and_ignores_other_nodes', () => {
    const text =
      '/**:\n  ros__parameters: {a: 1, b: 1}\nother:\n  ros__parameters: {a: 9}\npolicy_node:\n  ros__parameters: {a: 2}\n';
    expect(read(text)).toEqual({ a: 2n, b: 1n });
  });

  test('names_the_line_of_each_problem', () => {
    writeFileSync(path, '/**:\n  ros__parameters:\n    checkpoint: /c\n    control_rate: 15\n    promt: go\n');
    const found = problems(() => configFromFile(path));
    expect(found).toContain(
      `CONFIG_TYPE: Expected a double for control_rate, received the integer 15 (write 15.0) in ${path} line 4`,
    );
    expect(found).toContain(
      `CONFIG_UNKNOWN_KEY: Expected a known parameter, received promt in ${path} line 5 (nearest: prompt)`,
    );
  });

  test.each<[string, string, RegExp]>([
    ['is_not_YAML', '/**: {ros__parameters: {', /^CONFIG_FILE: Expected YAML in .*robot\.yaml, received: /],
    ['gives_a_key_twice', '/**:\n  ros__parameters:\n    a: 1\n    a: 2\n', /^CONFIG_FILE: Expected YAML in .*unique/],
    ['is_empty', '', /^CONFIG_FILE: Expected parameters for policy_node .* received none$/],
    ['is_of_another_node', 'other:\n  ros__parameters: {a: 1}\n', /^CONFIG_FILE: Expected parameters for policy_node/],
    ['lacks_ros__parameters', '/**:\n  a: 1\n', /^CONFIG_FILE: Expected ros__parameters under \/\*\* at .* line 2$/],
    ['has_a_key_without_value', '/**:\n  ros__parameters:\n    a:\n', /^CONFIG_FILE: Expected a value at .* line 3$/],
    [
      'has_a_list_of_two_types',
      '/**: {ros__parameters: {a: [1, 2.0]}}',
      /^CONFIG_FILE: Expected values of one type in a list at .* line 1$/,
    ],
    [
      'has_a_name_that_YAML_reads_as_a_boolean',
      '/**: {ros__parameters: {a: [x, y]}}',
      /^CONFIG_FILE: Expected values of one type in a list \(y unquoted: a boolean\) at .* line 1$/,
    ],
    [
      'has_a_list_of_lists',
      '/**: {ros__parameters: {a: [[1]]}}',
      /^CONFIG_FILE: Expected values of one type in a list/,
    ],
    [
      'has_an_alias',
      '/**:\n  ros__parameters:\n    a: &x 1\n    b: *x\n',
      /^CONFIG_FILE: Expected no aliases, which ROS rejects, at .* line 4$/,
    ],
  ])('that_%s_is_rejected', (_, text, sentence) => {
    const [first] = problems(() => read(text));
    expect(first).toMatch(sentence);
  });

  test('that_does_not_exist_is_rejected', () => {
    expect(problems(() => configFromFile(join(directory, 'none.yaml')))[0]).toMatch(
      /^CONFIG_FILE: Expected a parameter file at .*none\.yaml, received: .*ENOENT/,
    );
  });
});

describe('the presets', () => {
  const load = (name: string): ReturnType<typeof configFromFile> => {
    try {
      return configFromFile(join(packageRoot, 'configs', name));
    } catch (error) {
      throw new Error((error as ProblemsError).message, { cause: error });
    }
  };

  test('pi05_droid: 2 cameras, 7 velocities of 3 rad/s and a binary gripper at 15 Hz, 8 steps open loop', () => {
    const { controlRate, schedule, cameras, state, action, outputs } = load('pi05_droid.yaml');
    expect([controlRate, schedule.replanSteps, schedule.mode]).toEqual([15, 8, 'async']);
    expect(cameras.map(({ slot }) => slot)).toEqual(['base_0_rgb', 'left_wrist_0_rgb']);
    expect(state.joints.map(({ name }) => name)).toEqual(action.joints.map(({ name }) => name));
    expect(state.joints[7]).toMatchObject({ name: 'panda_finger_joint1', scale: -0.04, offset: 0.04 });
    const arm = action.joints.slice(0, 7);
    expect(arm.map(({ kind, scale }) => [kind, scale])).toEqual(new Array(7).fill(['velocity', 3]));
    expect(arm.every(({ lower, upper, maxVelocity }) => upper - lower < 6 && maxVelocity < 3)).toBe(true);
    expect(action.joints[7]).toMatchObject({
      kind: 'position',
      gripper: true,
      binarize: 0.5,
      scale: -0.04,
      offset: 0.04,
    });
    expect(action.bound).toBe('clip');
    expect(outputs.map(({ type, joints }) => [type, joints.length])).toEqual([
      ['float64_multi_array', 7],
      ['float64_multi_array', 1],
    ]);
  });

  test('pi05_droid_jointpos: the same robot with position commands, 7 deltas and a binary gripper', () => {
    const droid = load('pi05_droid.yaml');
    const { cameras, state, action, outputs, schedule } = load('pi05_droid_jointpos.yaml');
    expect([cameras, state, schedule]).toEqual([droid.cameras, droid.state, droid.schedule]);
    expect(action.joints.map(({ kind }) => kind)).toEqual([...new Array<string>(7).fill('delta'), 'position']);
    expect(action.joints.map(({ lower, upper }) => [lower, upper])).toEqual(
      droid.action.joints.map(({ lower, upper }) => [lower, upper]),
    );
    expect(action.joints[7]).toEqual(droid.action.joints[7]);
    expect(outputs.map(({ type }) => type)).toEqual(['joint_trajectory', 'float64_multi_array']);
  });

  test('pi05_libero: 2 cameras rotated by 180 degrees, no state, 7 numbers in one message', () => {
    const { cameras, state, action, outputs, schedule } = load('pi05_libero.yaml');
    expect(cameras.map(({ slot, rotate }) => [slot, rotate])).toEqual([
      ['base_0_rgb', 180],
      ['left_wrist_0_rgb', 180],
    ]);
    expect([state.mode, state.joints, schedule.replanSteps]).toEqual(['none', [], 5]);
    expect(action.joints.map(({ kind }) => kind)).toEqual([...new Array<string>(6).fill('velocity'), 'position']);
    expect(outputs).toMatchObject([{ type: 'float64_multi_array', joints: action.joints.map(({ name }) => name) }]);
  });

  test('pi05_aloha: 3 cameras, 14 joints with 4 flipped, deltas for the arms, 25 of 50 steps at 50 Hz', () => {
    const { cameras, state, action, outputs, controlRate, schedule } = load('pi05_aloha.yaml');
    expect(cameras.map(({ slot }) => slot)).toEqual(['base_0_rgb', 'left_wrist_0_rgb', 'right_wrist_0_rgb']);
    expect([controlRate, schedule.replanSteps]).toEqual([50, 25]);
    expect(action.joints.map(({ kind }) => kind.charAt(0)).join('')).toBe('ddddddpddddddp');
    const flips = action.joints.map(({ scale }) => scale);
    expect(flips).toEqual([1, -1, -1, 1, 1, 1, 1, 1, -1, -1, 1, 1, 1, 1]);
    expect(state.joints.map(({ scale }) => Math.sign(scale))).toEqual(flips);
    expect(state.joints.map(({ transform }) => transform === 'none')).toEqual(
      action.joints.map(({ gripper }) => !gripper),
    );
    expect(outputs.map(({ type, joints }) => [type, joints.length])).toEqual([
      ['joint_trajectory', 6],
      ['float64_multi_array', 1],
      ['joint_trajectory', 6],
      ['float64_multi_array', 1],
    ]);
  });

  test('demo: the same robot with tighter limits', () => {
    const droid = load('pi05_droid.yaml');
    const demo = load('demo.yaml');
    expect(demo.prompt).toBe('pick up the red block');
    expect([demo.cameras, demo.state, demo.outputs]).toEqual([droid.cameras, droid.state, droid.outputs]);
    demo.action.joints.forEach((joint, i) => {
      const other = droid.action.joints[i]!;
      expect([joint.name, joint.kind, joint.scale]).toEqual([other.name, other.kind, other.scale]);
      expect(joint.lower).toBeGreaterThanOrEqual(other.lower);
      expect(joint.upper).toBeLessThanOrEqual(other.upper);
      expect(joint.maxVelocity).toBeLessThanOrEqual(other.maxVelocity);
    });
  });
});
