import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TokenizerAside } from '../../../src/policy/tokenizer/aside.js';
import { Tokenizer } from '../../../src/policy/tokenizer/tokenizer.js';
import { fixture } from '../root.js';

const LEROBOT = fixture('pi05', 'tiny-lerobot');

describe('a tokenizer in a thread of its own', () => {
  let here: Tokenizer;
  let aside: TokenizerAside;
  beforeAll(async () => {
    here = await Tokenizer.load(LEROBOT);
    aside = await TokenizerAside.load(LEROBOT);
  });
  afterAll(async () => {
    await aside.close();
  });

  test('is_the_same_tokenizer', () => {
    expect([aside.bos, aside.vocab, aside.longest]).toEqual([here.bos, here.vocab, here.longest]);
  });

  test('gives_the_same_ids_again_and_again', () => {
    const texts = ['Task: pick up the block, State: 1 2 3;\nAction: ', '', 'déplace 赤い 🤖', 'a'.repeat(20_000)];
    for (let round = 0; round < 20; round++) {
      for (const text of texts) expect(aside.encode(text)).toEqual(here.encode(text));
    }
  });

  test('refuses_a_text_that_it_cannot_hold', () => {
    expect(() => aside.encode('a'.repeat(1 << 19))).toThrow(/Expected a text of at most 262144 bytes/);
    expect(aside.encode('pick')).toEqual(here.encode('pick'));
  });
});

test('what_cannot_be_loaded_is_said_with_its_code', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tokenizer-'));
  await expect(TokenizerAside.load(directory)).rejects.toMatchObject({ code: 'CHECKPOINT_TOKENIZER' });
  writeFileSync(join(directory, 'tokenizer.json'), '{');
  await expect(TokenizerAside.load(directory)).rejects.toMatchObject({
    code: 'CHECKPOINT_TOKENIZER',
    message: expect.stringContaining(directory),
  });
  rmSync(directory, { recursive: true });
});

test('a_thread_that_ended_is_an_error_and_no_endless_wait', async () => {
  const aside = await TokenizerAside.load(LEROBOT);
  await aside.close();
  expect(() => aside.encode('pick')).toThrow('Expected a tokenizer, received none (its thread has ended)');
});
