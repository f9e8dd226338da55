import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { PARAMETER_TYPE } from '../../../src/ros/rcl.js';
import { rejectChange, overridesFor, plainValues } from '../../../src/ros/parameters.js';

const { not_set, bool, integer, double, string, string_array } = PARAMETER_TYPE;

/** The override of the string parameter `x` for one node name or pattern. */
const entry = (name: string, value: unknown) => ({ name, parameters: [{ name: 'x', type: string, value }] });

describe('overridesFor', () => {
  test.each([
    ['/**', true],
    ['policy_node', true],
    ['/left/policy_node', true],
    ['/*/policy_node', true],
    ['/**/policy_node', true],
    ['/left/*', true],
    ['/policy_node', false],
    ['/right/policy_node', false],
    ['/*', false],
    ['other_node', false],
    ['policy', false],
  ])('whether_the_pattern_%s_applies_to_/left/policy_node: %s', (pattern, applies) => {
    expect(overridesFor('/left/policy_node', [entry(pattern, 'a')]).has('x')).toBe(applies);
  });

  test('the_last_entry_wins_whatever_its_pattern', () => {
    const overrides = overridesFor('/policy_node', [entry('policy_node', 'file'), entry('/**', 'command line')]);
    expect(overrides.get('x')?.value).toBe('command line');
  });
});

test('a_parameter_of_the_command_line_wins_over_a_file_that_names_the_node', () => {
  const entries = [entry('/**', 'command line'), entry('policy_node', 'file')];
  expect(overridesFor('/policy_node', entries, ['-p', 'x:=command line']).get('x')?.value).toBe('command line');
  expect(overridesFor('/policy_node', entries, ['-p', 'y:=1']).get('x')?.value).toBe('file');
});

test.each([
  ['fast', string, 'fast'],
  ['30', integer, 30n],
  ['true', bool, true],
  ['"15.0"', string, '15.0'],
  ['20.0', double, 15],
])('%s_on_the_command_line_wins_over_a_double_in_a_file', (text, type, value) => {
  const entries = [{ name: '/**', parameters: [{ name: 'rate', type: double, value: 15 }] }];
  expect(overridesFor('/policy_node', entries, ['-p', `rate:=${text}`]).get('rate')).toEqual({
    name: 'rate',
    type,
    value,
  });
});

describe('a_value_of_another_type_in_a_later_file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pi05-parameters-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** The override of `rate`, which rcl read as the double 15, with files of these sections. */
  function rate(...files: readonly string[]): unknown {
    const argv = files.flatMap((text, index) => {
      const path = join(directory, `${index}.yaml`);
      writeFileSync(path, text);
      return ['--params-file', path];
    });
    const entries = [{ name: '/left/policy_node', parameters: [{ name: 'rate', type: double, value: 15 }] }];
    return overridesFor('/left/policy_node', entries, argv).get('rate');
  }
  const section = (value: string, node = '/left/policy_node'): string =>
    `${node}: {ros__parameters: {rate: ${value}}}\n`;
  const first = section('15.0');

  test.each([
    ['fast', string, 'fast'],
    ['15', integer, 15n],
    ['[a, b]', string_array, ['a', 'b']],
    ['[true]', PARAMETER_TYPE.bool_array, [true]],
    ['[]', not_set, undefined],
  ])('wins: %s', (text, type, value) => {
    expect(rate(first, section(text))).toEqual({ name: 'rate', type, value });
  });

  test('is_found_below_a_namespace', () => {
    const nested = '/left: {policy_node: {ros__parameters: {rate: fast}}}\n';
    expect(rate(first, nested)).toEqual({ name: 'rate', type: string, value: 'fast' });
  });

  test.each([
    ['in_an_earlier_file', [section('fast'), first]],
    ['for_another_node', [first, section('fast', '/right/policy_node')]],
    ['in_a_file_that_only_rcl_can_read', [first, 'a: 1\na: 2\n' + section('fast')]],
  ])('%s_changes_nothing', (_, files) => {
    expect(rate(...files)).toEqual({ name: 'rate', type: double, value: 15 });
  });
});

describe('plainValues', () => {
  test('integers_become_bigints_and_doubles_stay', () => {
    const values = plainValues([
      { name: 'seed', type: integer, value: 7 },
      { name: 'rate', type: double, value: 15 },
      { name: 'names', type: string_array, value: ['a'] },
    ]);
    expect([...values]).toEqual([
      ['seed', 7n],
      ['rate', 15],
      ['names', ['a']],
    ]);
  });

  test('an_integer_too_large_for_a_double_is_rejected', () => {
    expect(() => plainValues([{ name: 'seed', type: integer, value: 2 ** 53 }])).toThrow(
      expect.objectContaining({ code: 'CONFIG_RANGE', message: expect.stringContaining('seed') }),
    );
  });

  test('an_empty_list_has_no_type_and_counts_as_not_given', () => {
    expect(plainValues([{ name: 'names', type: not_set, value: undefined }]).size).toBe(0);
  });
});

describe('rejectChange', () => {
  const parameters = new Map([
    ['prompt', { name: 'prompt', type: string, value: 'wave' }],
    ['seed', { name: 'seed', type: integer, value: 1n }],
    ['use_sim_time', { name: 'use_sim_time', type: bool, value: true }],
  ]);
  const node = {
    hasParameter: (name: string) => parameters.has(name),
    getParameter: (name: string) => parameters.get(name)!,
    getParameterDescriptor: (name: string) => ({ readOnly: name === 'seed' }) as never,
  };

  test('a_new_string_for_the_prompt_is_allowed', () => {
    expect(rejectChange(node, { name: 'prompt', type: string, value: 'x' })).toBeUndefined();
  });

  test.each([
    ['prompt', integer, 5n, 'Expected a string for prompt, received an integer'],
    ['prompt', not_set, undefined, 'Expected a string for prompt, received its deletion'],
    ['seed', integer, 5n, 'Expected no change of seed, which is read-only: set it in the parameter file'],
    [
      'use_sim_time',
      bool,
      false,
      'Expected no change of use_sim_time, which is read-only: set it in the parameter file',
    ],
    ['promt', string, 'x', 'Expected a parameter of this node, received promt'],
  ])('a_change_of_%s_to_type_%d_is_rejected_with_the_reason', (name, type, value, reason) => {
    expect(rejectChange(node, { name, type, value })).toBe(reason);
  });
});
