import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { PROBLEM_CODES, REFUSAL_CODES, REPLAY_CODES, FAULT_CODES, USAGE_CODES } from '../../../src/errors.js';
import { packageRoot } from '../root.js';

/** Sections of docs/errors.md: entries by code, each the text below its heading. */
function sections(): Map<string, Map<string, string>> {
  const text = readFileSync(join(packageRoot, 'docs/errors.md'), 'utf8');
  return new Map(
    text
      .split(/^## /m)
      .slice(1)
      .map((section) => {
        const [title = '', ...entries] = section.split(/^### /m);
        const pairs = entries.map((entry) => [entry.split('\n', 1)[0]!, entry.slice(entry.indexOf('\n'))] as const);
        expect(new Set(pairs.map(([code]) => code)).size).toBe(pairs.length);
        return [title.split('\n', 1)[0]!, new Map(pairs)] as const;
      }),
  );
}

const GROUPS = {
  'Refusals: inputs that are not used': REFUSAL_CODES,
  'Problems with the configuration or the checkpoint': PROBLEM_CODES,
  'Faults while the node runs': FAULT_CODES,
  'Command line and setup': USAGE_CODES,
  Replay: REPLAY_CODES,
} as const;

describe('docs/errors.md', () => {
  test('has_one_section_for_each_group_of_codes', () => {
    expect([...sections().keys()]).toEqual(Object.keys(GROUPS));
  });

  test.each(Object.entries(GROUPS))('%s: lists_the_codes_of_errors_ts_and_no_others', (title, codes) => {
    expect([...sections().get(title)!.keys()]).toEqual([...codes]);
  });

  test.each([...sections()].flatMap(([, entries]) => [...entries]))('%s has_a_cause_and_a_remedy', (_, entry) => {
    expect(entry).toMatch(/^\s*\*\*Cause\.\*\* \S[^]{20,}\n\n\*\*Remedy\.\*\* \S[^]{10,}$/);
  });
});
