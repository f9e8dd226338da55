import { describe, expect, test } from '@jest/globals';
import {
  cleanPrompt,
  padded,
  promptWithoutState,
  promptWithState,
  pythonStrip,
  stateBins,
} from '../../../src/policy/transforms/prompt.js';
import { numbers, readFixture, type FixtureNumber } from './fixtures.js';

interface StateTokens {
  readonly rows: readonly { note: string; dtype: string; state: FixtureNumber[]; text: string; values: number[] }[];
}
interface PromptFormat {
  readonly state_3: FixtureNumber[];
  readonly state_7_float32: FixtureNumber[];
  readonly empty_state: { prompt: string; full: string };
  readonly rows: readonly {
    prompt: string;
    cleaned: string;
    full_3: string;
    full_7: string;
    full_7_utf8_hex?: string;
  }[];
}

const bins = (state: readonly FixtureNumber[]): Int32Array => stateBins(Float64Array.from(numbers(state)));

describe('state numbers are those of openpi', () => {
  const { rows } = readFixture<StateTokens>('state_tokens.json');
  test('all_rows_are_there', () => expect(rows.length).toBe(30));
  test.each(rows)('$dtype: $note', ({ state, text, values }) => {
    expect([...bins(state)]).toEqual(values);
    expect(bins(state).join(' ')).toBe(text);
  });
});

test('a_padded_state_ends_in_zeros_which_are_bin_128', () => {
  const text = (length: number): string => promptWithState('x', stateBins(padded(Float64Array.of(0, 1, -1), length)));
  expect(text(0)).toBe('Task: x, State: 128 255 0;\nAction: ');
  expect(text(5)).toBe('Task: x, State: 128 255 0 128 128;\nAction: ');
  expect(text(2)).toBe(text(0));
});

describe('prompts are those of openpi', () => {
  const format = readFixture<PromptFormat>('prompt_format.json');
  test('all_rows_are_there', () => expect(format.rows.length).toBe(49));
  test.each(format.rows)('$prompt', ({ prompt, cleaned, full_3, full_7 }) => {
    expect(cleanPrompt(prompt)).toBe(cleaned);
    expect(promptWithState(cleaned, bins(format.state_3))).toBe(full_3);
    expect(promptWithState(cleaned, bins(format.state_7_float32))).toBe(full_7);
  });
  test('an_empty_state_leaves_nothing_between_the_words', () => {
    expect(promptWithState(cleanPrompt(format.empty_state.prompt), bins([]))).toBe(format.empty_state.full);
  });
  test('without_state_the_prompt_is_followed_by_a_separate_newline', () => {
    expect(promptWithoutState('go')).toEqual(['go', '\n']);
  });
  test('strips_every_code_point_that_python_strips_and_no_other', () => {
    // Python: [c for c in range(0x110000) if chr(c).isspace()]
    const python = [
      9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201,
      8202, 8232, 8233, 8239, 8287, 12288,
    ];
    const stripped = Array.from({ length: 0x110000 }, (_, code) => code).filter(
      (code) => pythonStrip(`${String.fromCodePoint(code)}x`) === 'x',
    );
    expect(stripped).toEqual(python);
  });
});
