import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { DEPRECATED_VALUES, replaceDeprecated } from '../../../src/config/deprecated.js';
import { configFromFile } from '../../../src/config/file.js';
import { type Declaration, SCHEMA } from '../../../src/config/schema.js';
import { packageRoot } from '../root.js';

const OUTPUTS = { 'outputs.names': ['arm', 'hand'], 'outputs.arm.type': 'positions', 'outputs.hand.type': 'array' };

test('old_output_types_become_the_new_ones_with_a_warning_each', () => {
  const warnings: string[] = [];
  const replaced = replaceDeprecated(
    new Map<string, unknown>(Object.entries(OUTPUTS)),
    (sentence) => warnings.push(sentence),
    (name) => ` in robot.yaml at ${name}`,
  );
  expect(Object.fromEntries(replaced)).toEqual({
    ...OUTPUTS,
    'outputs.arm.type': 'joint_trajectory',
    'outputs.hand.type': 'float64_multi_array',
  });
  expect(warnings).toEqual([
    'Expected "joint_trajectory" for outputs.arm.type, received its old name "positions" in robot.yaml at outputs.arm.type, which is accepted until 0.3.0',
    'Expected "float64_multi_array" for outputs.hand.type, received its old name "array" in robot.yaml at outputs.hand.type, which is accepted until 0.3.0',
  ]);
});

test('other_values_and_parameters_stay_as_they_are_without_a_warning', () => {
  const flat = new Map<string, unknown>([
    ['outputs.names', ['arm']],
    ['outputs.arm.type', 'joint_trajectory'],
    ['outputs.other.type', 'positions'],
    ['prompt', 'positions'],
  ]);
  const warn = (sentence: string): void => {
    throw new Error(sentence);
  };
  expect(replaceDeprecated(flat, warn)).toEqual(flat);
});

test('every_new_name_is_a_valid_value_and_no_old_name_is', () => {
  const rows = Object.entries(DEPRECATED_VALUES);
  expect(rows.length).toBeGreaterThan(0);
  for (const [pattern, renamed] of rows) {
    const { choices = [] }: Declaration = SCHEMA[pattern as keyof typeof SCHEMA];
    for (const [old, current] of Object.entries(renamed)) {
      expect([choices.includes(current), choices.includes(old)]).toEqual([true, false]);
    }
  }
});

test('a_file_with_old_names_gives_the_same_configuration_and_names_file_and_line', () => {
  const preset = join(packageRoot, 'configs', 'pi05_aloha.yaml');
  const directory = mkdtempSync(join(tmpdir(), 'deprecated-'));
  try {
    const path = join(directory, 'old.yaml');
    const text = readFileSync(preset, 'utf8');
    writeFileSync(
      path,
      text
        .replaceAll('type: joint_trajectory', 'type: positions')
        .replaceAll('type: float64_multi_array', 'type: array'),
    );
    const warnings: string[] = [];
    expect(configFromFile(path, (sentence) => warnings.push(sentence))).toEqual(configFromFile(preset));
    expect(warnings).toHaveLength(4);
    const line = text.split('\n').findIndex((row) => row.includes('type: joint_trajectory')) + 1;
    expect(warnings[0]).toContain(`"positions" in ${path} line ${line}, `);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
