import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { FAULT_CODES } from '../../../src/errors.js';
import { packageRoot } from '../root.js';

/** The cells of the rows of the table "What happens when" in docs/safety.md. */
const rows = readFileSync(join(packageRoot, 'docs/safety.md'), 'utf8')
  .split('## What happens when')[1]!
  .split('\n## ')[0]!
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(1)
  .map((line) => line.split('|').slice(1, -1));

/** Whether a test of this name is declared in the file. */
function isDeclared(file: string, name: string): boolean {
  const path = join(packageRoot, file);
  if (!existsSync(path)) return false;
  const source = readFileSync(path, 'utf8');
  return file.endsWith('.py') ? source.includes(`\ndef ${name}(`) : source.includes(`'${name}'`);
}

test('each_row_of_the_safety_table_names_tests_that_exist', () => {
  expect(rows.length).toBeGreaterThan(10);
  const missing = rows.flatMap((cells) => {
    const references = [...cells[5]!.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);
    const absent = references.filter((text) => {
      const [name, file = 'test/ros/test_safety.py'] = text.split('::').reverse();
      return !isDeclared(file, name!);
    });
    return references.length === 0 ? [`no test: ${cells[0]}`] : absent;
  });
  expect(missing).toEqual([]);
});

test('each_code_of_the_safety_table_exists', () => {
  const codes = rows.flatMap((cells) => cells[4]!.match(/[A-Z]+_[A-Z_]+/g) ?? []);
  expect(codes.filter((code) => !(FAULT_CODES as readonly string[]).includes(code))).toEqual([]);
});
