import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TokenizerWorkerClient } from '../../../src/policy/tokenizer/tokenizer-thread.js';
import { Tokenizer } from '../../../src/policy/tokenizer/tokenizer.js';
import { fixture } from '../root.js';

const LEROBOT = fixture('pi05', 'tiny-lerobot');

describe('a tokenizer in a worker thread', () => {
  let direct: Tokenizer;
  let client: TokenizerWorkerClient;
  beforeAll(async () => {
    direct = await Tokenizer.load(LEROBOT);
    client = await TokenizerWorkerClient.load(LEROBOT);
  });
  afterAll(async () => {
    await client.close();
  });

  test('is_the_same_tokenizer', () => {
    const { bos, vocab, longestPiece } = direct;
    expect([client.bos, client.vocab, client.longestPiece]).toEqual([bos, vocab, longestPiece]);
  });

  test('gives_the_same_ids_again_and_again', () => {
    const texts = ['Task: pick up the block, State: 1 2 3;\nAction: ', '', 'déplace 赤い 🤖', 'a'.repeat(20_000)];
    for (let round = 0; round < 20; round++) {
      for (const text of texts) expect(client.encode(text)).toEqual(direct.encode(text));
    }
  });

  test('rejects_a_text_that_is_longer_than_its_memory', () => {
    expect(() => client.encode('a'.repeat(1 << 19))).toThrow(/Expected a text of at most 262144 bytes/);
    expect(client.encode('pick')).toEqual(direct.encode('pick'));
  });
});

test('a_tokenizer_that_cannot_be_loaded_rejects_with_its_code', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tokenizer-'));
  await expect(TokenizerWorkerClient.load(directory)).rejects.toMatchObject({ code: 'CHECKPOINT_TOKENIZER' });
  writeFileSync(join(directory, 'tokenizer.json'), '{');
  await expect(TokenizerWorkerClient.load(directory)).rejects.toMatchObject({
    code: 'CHECKPOINT_TOKENIZER',
    message: expect.stringContaining(directory),
  });
  rmSync(directory, { recursive: true });
});

test('a_thread_that_ended_is_an_error_and_not_a_deadlock', async () => {
  const client = await TokenizerWorkerClient.load(LEROBOT);
  await client.close();
  expect(() => client.encode('pick')).toThrow('Expected a tokenizer, received none (its thread has ended)');
});
