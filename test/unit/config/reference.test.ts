import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parameterReference } from '../../../src/config/reference.js';
import { SCHEMA } from '../../../src/config/schema.js';
import { packageRoot } from '../root.js';

test('docs_parameters_md_is_up_to_date_with_the_schema_otherwise_run_npm_run_docs', () => {
  expect(readFileSync(join(packageRoot, 'docs/parameters.md'), 'utf8')).toBe(parameterReference());
});

test('each_parameter_has_one_row_of_six_cells', () => {
  const rows = parameterReference()
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows.map((row) => /^\| `([^`]+)` \|/.exec(row)?.[1]).toSorted()).toEqual(Object.keys(SCHEMA).toSorted());
  for (const row of rows) expect(row.split(/(?<!\\)\|/)).toHaveLength(8);
});
