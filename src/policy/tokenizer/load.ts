import type { Problems } from '../../config/problems.js';
import type { PolicyModel } from '../model.js';
import { lerobotTokenizer } from '../statistics/lerobot.js';
import type { Tokenizer } from './tokenizer.js';

/** A checkpoint's tokenizer, checked against its model. Undefined, with a CHECKPOINT_TOKENIZER problem, where it cannot be loaded. */
export async function loadTokenizer<T extends Pick<Tokenizer, 'vocab'>>(
  load: (...args: Parameters<typeof Tokenizer.load>) => Promise<T>,
  directory: string,
  model: PolicyModel,
  problems: Problems,
): Promise<T | undefined> {
  const named = model.family === 'lerobot' ? lerobotTokenizer(directory) : undefined;
  const hint =
    named === undefined
      ? " (put PaliGemma's or Gemma's tokenizer.json there)"
      : ` (the checkpoint was trained with ${named}: put its tokenizer.json there)`;
  try {
    const tokenizer = await load(directory, named, hint);
    if (tokenizer.vocab > model.vocab) {
      problems.add(
        'CHECKPOINT_TOKENIZER',
        `Expected a tokenizer of up to the model's ${String(model.vocab)} tokens, received ${String(tokenizer.vocab)} ` +
          `from ${directory}`,
        directory,
      );
    }
    return tokenizer;
  } catch (error) {
    problems.addError(error);
    return undefined;
  }
}
