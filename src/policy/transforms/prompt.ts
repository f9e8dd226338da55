/**
 * Prompt and state as text, exactly as openpi writes them (`models/tokenizer.py`); LeRobot writes the same.
 */

/** What Python's `str.strip` removes: not JavaScript's `trim`, which keeps U+001C…1F and U+0085 and removes U+FEFF. */
const PYTHON_SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const SPACE = new RegExp(`[${PYTHON_SPACE}]`, 'u');

export function pythonStrip(text: string): string {
  // An expression for the end would try every run of spaces in between.
  let [start, end] = [0, text.length];
  while (start < end && SPACE.test(text.charAt(start))) start += 1;
  while (end > start && SPACE.test(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** `prompt.strip().replace("_", " ").replace("\n", " ")`: stripped first, so a leading underscore leaves a space. */
export function cleanPrompt(prompt: string): string {
  return pythonStrip(prompt).replaceAll('_', ' ').replaceAll('\n', ' ');
}

const BINS = 256;

/**
 * `numpy.digitize(state, numpy.linspace(-1, 1, 257)[:-1]) - 1` for normalised values: how many of the edges
 * k/128 − 1 are not above the value, less one. Nothing is clamped: below −1 gives −1; 1 and more, and NaN, give 255.
 */
export function stateBins(normalized: Float64Array): Int32Array {
  return Int32Array.from(normalized, (value) => {
    let bin = -1;
    while (bin < BINS - 1 && !(value < (bin + 1) / (BINS / 2) - 1)) bin += 1;
    return bin;
  });
}

/** The prompt of a checkpoint that reads the state from it; `bins` one a state dimension, never padded. */
export function promptWithState(cleaned: string, bins: Int32Array): string {
  return `Task: ${cleaned}, State: ${bins.join(' ')};\nAction: `;
}

/** The prompt of a checkpoint without state: two texts, tokenised apart. */
export function promptWithoutState(cleaned: string): readonly [string, string] {
  return [cleaned, '\n'];
}
