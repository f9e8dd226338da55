import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { Tokenizer } from '../../../src/policy/tokenizer/tokenizer.js';
import { cleanPrompt, promptWithState } from '../../../src/policy/transforms/prompt.js';
import { packageRoot } from '../root.js';

const DIRECTORY = join(packageRoot, 'checkpoints', 'demo');

describe("the demo checkpoint's tokenizer", () => {
  let tokenizer: Tokenizer;
  let vocabulary: Record<string, number>;
  beforeAll(async () => {
    tokenizer = await Tokenizer.load(DIRECTORY);
    const file = JSON.parse(readFileSync(join(DIRECTORY, 'tokenizer.json'), 'utf8')) as {
      model: { vocab: Record<string, number> };
    };
    vocabulary = file.model.vocab;
  });
  const pieces = (text: string): string[] => {
    const names = new Map(Object.entries(vocabulary).map(([piece, id]) => [id, piece]));
    return tokenizer.encode(text).map((id) => names.get(id) ?? `no piece ${String(id)}`);
  };
  const prompt = (task: string, bins: number[]): string => promptWithState(cleanPrompt(task), Int32Array.from(bins));

  test('has_at_most_1000_ids', () => expect(tokenizer.vocab).toBeLessThanOrEqual(1000));

  test('each_state_number_is_one_token_at_each_place', () => {
    for (let number = -1; number <= 255; number += 1) {
      const bins = Array.from({ length: 8 }, (_, i) => ((number + 1 + 32 * i) % 257) - 1);
      expect(pieces(prompt('touch the red block', bins))).toEqual([
        ...['task:', '▁touch', '▁the', '▁red', '▁block', ',▁state:'],
        ...bins.map((bin) => `▁${String(bin)}`),
        ';\naction:▁',
      ]);
    }
  });

  test.each(['put the green cube into the bowl.', 'Place the blue block on top of the red one, please', 'PICK IT UP'])(
    'words_are_one_token_in_any_case: %s',
    (task) => {
      const words = task.toLowerCase().match(/[a-z]+|[.,]/gu) ?? [];
      expect(pieces(` ${task}`)).toEqual(words.map((word) => (/[a-z]/u.test(word) ? `▁${word}` : word)));
    },
  );

  test.each(['xylophone 3000!', '"quoted" — déplace 赤い 🤖', 'tab\tand <eos>, <bos>', ''])(
    'other_text_becomes_letters_and_bytes_from_which_it_can_be_restored: %s',
    (task) => {
      const text = prompt(task, [0, 1, 2]);
      const bytes = pieces(text).flatMap((piece) => {
        const byte = /^<0x([0-9A-F]{2})>$/u.exec(piece)?.[1];
        return byte === undefined ? [...Buffer.from(piece.replaceAll('▁', ' '))] : [parseInt(byte, 16)];
      });
      expect(Buffer.from(bytes).toString()).toBe(text.toLowerCase());
    },
  );
});
