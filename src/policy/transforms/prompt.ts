/**
 * Prompt and state as text, exactly as in openpi (`models/tokenizer.py`) and LeRobot.
 */

/** The characters that Python's `str.strip` removes. JavaScript's `trim` keeps U+001C…1F and U+0085, and removes U+FEFF. */
const PYTHON_SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const SPACE = new RegExp(`[${PYTHON_SPACE}]`, 'u');

export function pythonStrip(text: string): string {
  // A loop, because a regular expression for the end is quadratic in a text with many spaces.
  let [start, end] = [0, text.length];
  while (start < end && SPACE.test(text.charAt(start))) start += 1;
  while (end > start && SPACE.test(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** `prompt.strip().replace("_", " ").replace("\n", " ")`. It strips first, so a leading underscore becomes a space. */
export function cleanPrompt(prompt: string): string {
  return pythonStrip(prompt).replaceAll('_', ' ').replaceAll('\n', ' ');
}

const BINS = 256;

/**
 * `numpy.digitize(state, numpy.linspace(-1, 1, 257)[:-1]) - 1` for normalised values: the number of edges k/128 − 1 at or
 * below the value, minus 1. Not clamped: values below −1 give −1; values of 1 and above, and NaN, give 255.
 */
export function stateBins(normalized: Float64Array): Int32Array {
  return Int32Array.from(normalized, (value) => {
    let bin = -1;
    while (bin < BINS - 1 && !(value < (bin + 1) / (BINS / 2) - 1)) bin += 1;
    return bin;
  });
}

/** The values with zeros at the end up to a length (LeRobot before 0.5, `pad_vector`). More values than that are kept. */
export function padded(values: Float64Array, length: number): Float64Array {
  if (values.length >= length) return values;
  const result = new Float64Array(length);
  result.set(values);
  return result;
}

/** The prompt of a checkpoint with the state in its prompt. @param bins one per number of the state. */
export function promptWithState(cleaned: string, bins: Int32Array): string {
  return `Task: ${cleaned}, State: ${bins.join(' ')};\nAction: `;
}

/** The prompt of a checkpoint without the state in its prompt: two texts, which are tokenised separately. */
export function promptWithoutState(cleaned: string): readonly [string, string] {
  return [cleaned, '\n'];
}
