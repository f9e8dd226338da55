import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import {
  type Condition,
  conditions,
  CONTROL_LAYOUTS,
  dataHash,
  checkpointHash,
  type EpisodeRecord,
  workUnits,
} from '../../../src/cli/evaluation-plan.js';
import { EvaluationProgress } from '../../../src/cli/evaluation-progress.js';
import { EvaluationRecords } from '../../../src/cli/evaluation-records.js';

const PLAIN: Condition = { mode: 'async', delay_ms: 0, control: 'none' };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'evaluation-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the plan', () => {
  test('has_each_mode_with_each_delay_and_controls_of_25_layouts_a_task', () => {
    const planned = conditions(['sync', 'async'], [0, 200], ['wrist-frozen'], 400, 4);
    expect(planned).toHaveLength(8);
    const counts = planned.map(({ condition, count }) => [condition.control, count]);
    expect(counts).toEqual(
      Array.from({ length: 4 }, () => [
        ['none', 400],
        ['wrist-frozen', 4 * CONTROL_LAYOUTS],
      ]).flat(),
    );
    expect(planned[3]?.condition).toEqual({ mode: 'sync', delay_ms: 200, control: 'wrist-frozen' });
  });

  test('a_control_has_no_more_episodes_than_the_plain_run', () => {
    expect(conditions(['async'], [0], ['wrist-frozen'], 8, 4).map(({ count }) => count)).toEqual([8, 8]);
  });

  test('deals_whole_rounds_of_tasks_to_the_jobs_without_the_episodes_that_are_done', () => {
    const planned = conditions(['async'], [0], [], 8, 2);
    const units = workUnits(planned, (_, episode) => episode === 4, 2, 2);
    expect(units).toEqual([
      { condition: PLAIN, episodes: [0, 1, 5] },
      { condition: PLAIN, episodes: [2, 3, 6, 7] },
    ]);
  });

  test('has_no_units_when_everything_is_done', () => {
    expect(workUnits(conditions(['async'], [0], [], 8, 2), () => true, 2, 2)).toEqual([]);
  });
});

describe('hashes', () => {
  test('of_a_directory_change_with_a_name_and_with_a_byte', () => {
    const write = (name: string, content: string): string => {
      const checkpoint = join(directory, name);
      mkdirSync(join(checkpoint, 'assets'), { recursive: true });
      writeFileSync(join(checkpoint, 'assets', 'stats.json'), content);
      return checkpointHash(checkpoint);
    };
    const hash = write('a', 'x');
    expect(write('b', 'x')).toBe(hash);
    expect(write('b', 'y')).not.toBe(hash);
    writeFileSync(join(directory, 'a', 'README.md'), 'a description');
    expect(checkpointHash(join(directory, 'a'))).toBe(hash);
    writeFileSync(join(directory, 'a', 'more'), '');
    expect(checkpointHash(join(directory, 'a'))).not.toBe(hash);
  });

  test('of_a_directory_that_does_not_exist_is_a_missing_checkpoint', () => {
    expect(() => checkpointHash(join(directory, 'none'))).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_MISSING' }),
    );
  });

  test('of_data_accept_integers_of_ros', () => {
    expect(dataHash({ seed: 1n })).toBe(dataHash({ seed: 1n }));
    expect(dataHash({ seed: 1n })).not.toBe(dataHash({ seed: 2n }));
  });
});

describe('records', () => {
  const result = { episode: 3, task: 'pick', success: true };

  test('are_found_again_in_their_file_by_the_same_run_only', () => {
    const file = join(directory, 'records.jsonl');
    const added = new EvaluationRecords('run', file).add(PLAIN, result);
    const again = new EvaluationRecords('run', file);
    expect(again.get(PLAIN, 3)).toEqual(added);
    expect(again.has({ ...PLAIN, delay_ms: 100 }, 3)).toBe(false);
    expect(again.has({ ...PLAIN, mode: 'sync' }, 3)).toBe(false);
    expect(again.has({ ...PLAIN, control: 'wrist-frozen' }, 3)).toBe(false);
    expect(again.has(PLAIN, 4)).toBe(false);
    expect(new EvaluationRecords('another run', file).has(PLAIN, 3)).toBe(false);
  });

  test('continue_after_half_a_line', () => {
    const file = join(directory, 'records.jsonl');
    new EvaluationRecords('run', file).add(PLAIN, result);
    appendFileSync(file, '{"run": "run", "mo');
    const records = new EvaluationRecords('run', file);
    records.add(PLAIN, { ...result, episode: 4 });
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as EpisodeRecord).episode)).toEqual([3, 4]);
  });

  test('are_not_read_from_a_file_of_something_else', () => {
    const file = join(directory, 'records.jsonl');
    writeFileSync(file, 'hello\n');
    expect(() => new EvaluationRecords('run', file)).toThrow(/Expected a record in .* line 1/);
  });

  test('need_no_file', () => {
    const records = new EvaluationRecords('run');
    records.add(PLAIN, result);
    expect(records.get(PLAIN, 3)).toMatchObject({ run: 'run', ...PLAIN, ...result });
  });
});

test('progress_counts_the_successes_of_the_plain_run_and_estimates_the_remaining_time', () => {
  const lines: string[] = [];
  let now = 0;
  const progress = new EvaluationProgress({ show: (text) => lines.push(text), end: () => undefined }, 40, () => now);
  const record = { run: '', ...PLAIN, episode: 0, task: 'pick', success: true };
  now = 60_000;
  progress.add(record);
  progress.add({ ...record, control: 'wrist-frozen' });
  progress.add({ ...record, success: false });
  expect(lines).toEqual([
    '1 of 40 episodes, 39 min left: pick 1/1',
    '2 of 40 episodes, 19 min left: pick 1/1',
    '3 of 40 episodes, 12 min left: pick 1/2',
  ]);
});
