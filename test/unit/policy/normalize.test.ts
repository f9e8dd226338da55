import { describe, expect, test } from '@jest/globals';
import {
  lerobotNormalizer,
  type Normalizer,
  openpiNormalizer,
  type Statistics,
} from '../../../src/policy/transforms/normalize.js';
import { promptWithState, stateBins } from '../../../src/policy/transforms/prompt.js';
import { numbers, readFixture, type FixtureNumber } from './fixtures.js';

type Rows = readonly FixtureNumber[] | readonly (readonly FixtureNumber[])[];
interface Case {
  readonly name: string;
  readonly op: 'normalize' | 'unnormalize';
  readonly mode: 'quantile' | 'zscore';
  readonly input_dtype?: 'float32' | 'float64';
  readonly input: Rows;
  readonly output?: Rows;
  readonly error?: string;
}
interface PromptCase {
  readonly state: FixtureNumber[];
  readonly normalized: FixtureNumber[];
  readonly full: string;
}
interface Fixture {
  readonly stats: Record<'mean' | 'std' | 'q01' | 'q99', number[]>;
  readonly cases: Case[];
  readonly normalize_then_tokenize: PromptCase[];
  readonly lerobot: { readonly cases: Case[]; readonly normalize_then_tokenize: PromptCase[] };
}

const file = readFixture<Fixture>('normalize.json');
const column = (name: keyof Fixture['stats']): Float64Array => Float64Array.from(file.stats[name]);
const STATISTICS: Readonly<Record<Case['mode'], Statistics>> = {
  quantile: { kind: 'quantile', q01: column('q01'), q99: column('q99') },
  zscore: { kind: 'zscore', mean: column('mean'), std: column('std') },
};
const title = ({ name, op, mode, input_dtype: dtype }: Case): string => `${op} ${mode} ${dtype ?? 'float32'}: ${name}`;

function rowsOf(rows: Rows): number[][] {
  return rows.some(Array.isArray)
    ? (rows as readonly (readonly FixtureNumber[])[]).map(numbers)
    : [numbers(rows as readonly FixtureNumber[])];
}

function run(normalizer: Normalizer, { op, input, input_dtype: dtype = 'float32' }: Case): number[][] {
  const rows = rowsOf(input);
  const columns = rows[0]?.length ?? 0;
  if (op === 'normalize') return rows.map((row) => [...normalizer.normalize(Float64Array.from(row))]);
  const flat = dtype === 'float32' ? Float32Array.from(rows.flat()) : Float64Array.from(rows.flat());
  const result = [...normalizer.unnormalize(flat, columns)];
  return rows.map((_, row) => result.slice(row * columns, (row + 1) * columns));
}

function check(normalizer: Normalizer, example: Case): void {
  if (example.error !== undefined) {
    expect(() => run(normalizer, example)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_STATS' }));
  } else {
    expect(run(normalizer, example)).toEqual(rowsOf(example.output ?? []));
  }
}

describe('openpi, to the last bit', () => {
  test('all_cases_are_there', () => expect(file.cases.length).toBe(58));
  test.each(file.cases.map((example) => [title(example), example] as const))('%s', (_, example) => {
    check(openpiNormalizer(STATISTICS[example.mode]), example);
  });
  test.each(file.normalize_then_tokenize)('prompt $full', ({ state, normalized, full }) => {
    const values = openpiNormalizer(STATISTICS.quantile).normalize(Float64Array.from(numbers(state)));
    expect([...values]).toEqual(numbers(normalized));
    expect(promptWithState('pick up', stateBins(values))).toBe(full);
  });
});

describe('LeRobot, to the last bit of float32', () => {
  test('all_cases_are_there', () => expect(file.lerobot.cases.length).toBe(29));
  test.each(file.lerobot.cases.map((example) => [title(example), example] as const))('%s', (_, example) => {
    check(lerobotNormalizer(STATISTICS[example.mode], 1e-8), example);
  });
  test.each(file.lerobot.normalize_then_tokenize)('prompt $full', ({ state, normalized, full }) => {
    const values = lerobotNormalizer(STATISTICS.quantile, 1e-8).normalize(Float64Array.from(numbers(state)));
    expect([...values]).toEqual(numbers(normalized));
    expect(promptWithState('pick up', stateBins(values))).toBe(full);
  });
});

describe('both', () => {
  const three: Statistics = {
    kind: 'quantile',
    q01: Float64Array.of(-1, 0, 2),
    q99: Float64Array.of(1, 4, 3),
  };
  test.each([
    ['openpi', openpiNormalizer(three)],
    ['lerobot', lerobotNormalizer(three, 1e-8)],
  ])('%s: unnormalize_undoes_normalize', (_, normalizer) => {
    const values = Float64Array.of(0.5, 1, 2.75);
    const normalized = normalizer.normalize(values);
    const restored = normalizer.unnormalize(normalized, 3);
    restored.forEach((value, i) => expect(value).toBeCloseTo(values[i] ?? NaN, 12));
    expect([...values]).toEqual([0.5, 1, 2.75]);
  });
  test.each([
    ['openpi', openpiNormalizer({ kind: 'identity' })],
    ['lerobot', lerobotNormalizer({ kind: 'identity' }, 1e-8)],
  ])('%s: identity_leaves_values_as_they_are', (_, normalizer) => {
    expect([...normalizer.normalize(Float64Array.of(0.5, -2, 7))]).toEqual([0.5, -2, 7]);
    expect([...normalizer.unnormalize(Float64Array.of(0.5, -2, 7), 3)]).toEqual([0.5, -2, 7]);
  });
});
