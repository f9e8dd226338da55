import { describe, expect, jest, test } from '@jest/globals';
import { distribution, type Distribution } from '../../../src/cli/bench.js';
import { fixture } from '../root.js';
import { pi05 } from './pi05.js';

jest.setTimeout(120_000);

describe('distribution', () => {
  test('takes_percentiles_by_nearest_rank', () => {
    const times = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(distribution(times)).toEqual({ mean: 50.5, p50: 50, p95: 95, p99: 99, least: 1, most: 100 });
  });

  test('holds_for_one_value', () => {
    expect(distribution([3])).toEqual({ mean: 3, p50: 3, p95: 3, p99: 3, least: 3, most: 3 });
  });
});

describe('pi05 bench', () => {
  const tiny = fixture('pi05', 'tiny-openpi');

  test('reports_what_it_measured_as_json_alone', async () => {
    const shape = ['--cameras', '1', '--tokens', '7', '--steps', '2', '--warmup', '0', '--requests', '3'];
    const { code, stdout, stderr } = await pi05('bench', '--checkpoint', tiny, '--json', '--backend', 'cpu', ...shape);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = JSON.parse(stdout) as { inference_ms: Distribution };
    expect(report).toMatchObject({ backend: 'cpu', cameras: 1, tokens: 7, steps: 2, horizon: 10, requests: 3 });
    const { least, p50, most } = report.inference_ms;
    expect(least).toBeGreaterThan(0);
    expect(p50).toBeGreaterThanOrEqual(least);
    expect(most).toBeGreaterThanOrEqual(p50);
  });

  test('makes_a_checkpoint_where_none_is_named', async () => {
    const { code, stdout } = await pi05('bench', '--steps', '1', '--warmup', '0', '--requests', '1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^checkpoint {4}random, demo size\n/);
    expect(stdout).toMatch(/\ninference {5}mean [\d.]+ {2}p50 [\d.]+ /);
  });

  test.each([
    [['--tokens', '49'], /Expected --tokens of at most 48, received 49/],
    [['--cameras', '4'], /Expected --cameras of at most 3, received 4/],
    [['--requests', '0'], /Expected --requests as an integer of at least 1, received 0/],
  ])('refuses_%j', async (argv, sentence) => {
    const { code, stderr } = await pi05('bench', '--checkpoint', tiny, ...argv);
    expect(code).toBe(2);
    expect(stderr).toMatch(sentence);
  });
});
