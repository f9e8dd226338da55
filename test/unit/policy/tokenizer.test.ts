import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { Tokenizer } from '../../../src/policy/tokenizer/tokenizer.js';
import { fixture, packageRoot } from '../root.js';

const GEMMA = join(packageRoot, 'node_modules', '@lenml', 'tokenizer-gemma', 'models');

// The ids are those of the Rust library that Python's `tokenizers` wraps, from the same file without its control tokens.
describe("Gemma's tokenizer", () => {
  let gemma: Tokenizer;
  beforeAll(async () => {
    gemma = await Tokenizer.load(GEMMA);
  }, 120_000);

  test('gives_the_ids_of_the_reference_library', () => {
    const prompt = 'Task: pick up the red block, State: 127 3 255;\nAction: ';
    expect([gemma.bos, ...gemma.encode(prompt)]).toEqual([
      2, 7071, 235292, 4788, 908, 573, 3118, 3963, 235269, 3040, 235292, 235248, 235274, 235284, 235324, 235248, 235304,
      235248, 235284, 235308, 235308, 235289, 108, 4022, 235292, 235248,
    ]);
  });

  test('knows_how_many_ids_it_can_return', () => expect(gemma.vocab).toBe(256000));

  test('splits_numbers_into_digits', () => {
    const digits = [235276, 235274, 235284, 235304, 235310, 235308, 235318, 235324, 235321, 235315];
    expect(gemma.encode('0123456789')).toEqual(digits);
    expect(gemma.encode('-1')).toEqual([235290, 235274]);
  });

  test('adds_no_begin_token', () => expect(gemma.encode('go')).toEqual([1052]));

  test('keeps_leading_and_trailing_spaces', () => {
    expect(gemma.encode('go ')).toEqual([1052, 235248]);
    expect(gemma.encode(' go')).toEqual([871]);
    expect(gemma.encode('a  b')).toEqual([235250, 139, 235268]);
  });

  test('a_newline_is_one_token', () => expect(gemma.encode('\n')).toEqual([108]));

  test.each([
    ['accents', 'déplace', [12823, 3531]],
    ['CJK', '赤い', [112821]],
    ['an emoji with a token', '🤖', [243349]],
    ['bytes of a character without one', '𐎀', [457, 361, 359, 345]],
  ])('%s', (_, text, ids) => expect(gemma.encode(text)).toEqual(ids));

  test.each([
    ['<eos>', [235322, 96396, 235313]],
    ['<bos>', [235322, 14084, 235313]],
  ])('%s_in_a_prompt_is_text', (text, ids) => {
    expect(gemma.encode(text)).toEqual(ids);
    expect(gemma.encode(`pick ${text} up`)).not.toEqual(expect.arrayContaining([1]));
    expect(gemma.encode(`pick ${text} up`)).not.toEqual(expect.arrayContaining([2]));
  });
});

describe('loading', () => {
  test('finds_the_tokenizer_directory_of_a_LeRobot_checkpoint', async () => {
    const tokenizer = await Tokenizer.load(fixture('pi05', 'tiny-lerobot'));
    expect(tokenizer.bos).toBe(2);
    expect(tokenizer.vocab).toBe(512);
  });

  test('names_the_paths_where_a_tokenizer_was_expected', async () => {
    const directory = fixture('pi05', 'tiny-openpi');
    await expect(Tokenizer.load(directory)).rejects.toMatchObject({
      code: 'CHECKPOINT_TOKENIZER',
      message: `Expected tokenizer.json or tokenizer/tokenizer.json in ${directory}, received neither`,
    });
  });

  test.each([
    ['no JSON', '{'],
    ['another JSON', '[]'],
    ['no begin token', JSON.stringify({ added_tokens: [], model: { vocab: {} } })],
  ])('rejects_a_file_that_contains_%s', async (_, text) => {
    const directory = mkdtempSync(join(tmpdir(), 'pi05-tokenizer-'));
    try {
      writeFileSync(join(directory, 'tokenizer.json'), text);
      await expect(Tokenizer.load(directory)).rejects.toMatchObject({ code: 'CHECKPOINT_TOKENIZER' });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
