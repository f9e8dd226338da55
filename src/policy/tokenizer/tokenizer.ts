import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as huggingFace from '@huggingface/tokenizers';
import { errorMessage, Pi05Error } from '../../errors.js';
import { oneLine } from '../../format.js';
import { lfsPointerError } from '../lfs-pointer.js';

/** The part of the library that is used. Its own declarations do not resolve: they import without file extensions. */
interface HuggingFaceTokenizer {
  encode(text: string, options: { readonly add_special_tokens: boolean }): { readonly ids: number[] };
}
const { Tokenizer: HuggingFaceTokenizer } = huggingFace as unknown as {
  readonly Tokenizer: new (json: object, config: object) => HuggingFaceTokenizer;
};

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
}

interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly model: { readonly type?: string; readonly vocab: Readonly<Record<string, number>> };
}

/** Converts text to token ids as SentencePiece does: nothing is added, stripped or truncated. */
export class Tokenizer {
  readonly #tokenizer: HuggingFaceTokenizer;
  /** The id of `<bos>`, the first token of every prompt. */
  readonly bos: number;
  /** One more than the largest id that `encode` can return, or `bos`. */
  readonly vocab: number;
  /** The model type in the file: BPE or Unigram. */
  readonly kind: string;
  /** UTF-16 units of the longest piece: a text of n units has at least n / longestPiece tokens. */
  readonly longestPiece: number;

  private constructor(
    json: TokenizerJson,
    bos: number,
    readonly path: string,
  ) {
    // Control tokens are not text. SentencePiece tokenises a literal "<eos>" as characters; this library would make it the
    // control token. So the library does not get the control tokens.
    const added = json.added_tokens.filter(({ special }) => special !== true);
    const control = new Set(json.added_tokens.filter(({ special }) => special === true).map(({ content }) => content));
    this.#tokenizer = new HuggingFaceTokenizer({ ...json, added_tokens: added, post_processor: null }, {});
    this.bos = bos;
    this.kind = json.model.type ?? 'unknown';
    let largest = bos;
    let longest = added.reduce((most, { content }) => Math.max(most, content.length), 1);
    for (const [piece, id] of Object.entries(json.model.vocab)) {
      if (control.has(piece)) continue;
      largest = Math.max(largest, id);
      longest = Math.max(longest, piece.length);
    }
    this.vocab = added.reduce((most, { id }) => Math.max(most, id), largest) + 1;
    this.longestPiece = longest;
  }

  /**
   * Reads `tokenizer.json` from a checkpoint directory, its `tokenizer/` or its `subdirectory`. Gemma's has 17 MB and takes about
   * a second. @param hint the end of the error sentence where the file is missing. @throws Pi05Error CHECKPOINT_TOKENIZER.
   */
  static async load(directory: string, subdirectory = 'tokenizer', hint = ''): Promise<Tokenizer> {
    const paths = [...new Set(['.', 'tokenizer', subdirectory])].map((part) => join(directory, part, 'tokenizer.json'));
    for (const path of paths) {
      const pointer = lfsPointerError(path);
      if (pointer !== undefined) throw pointer;
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch {
        continue;
      }
      return Tokenizer.#parse(text, path);
    }
    const models = paths.map((path) => join(dirname(path), 'tokenizer.model'));
    const [pointer] = models.filter((path) => lfsPointerError(path) !== undefined);
    const remark = pointer === undefined ? '' : `; ${pointer} is a Git LFS pointer, which \`git lfs pull\` replaces`;
    throw new Pi05Error(
      'CHECKPOINT_TOKENIZER',
      `Expected tokenizer.json or tokenizer/tokenizer.json in ${directory}, received neither${hint}${remark}`,
      directory,
    );
  }

  static #parse(text: string, path: string): Tokenizer {
    let tokenizer: Tokenizer;
    try {
      const json = JSON.parse(text) as TokenizerJson;
      const bos = json.added_tokens.find(({ content }) => content === '<bos>');
      if (bos === undefined) throw new Error('no added token <bos>');
      tokenizer = new Tokenizer(json, bos.id, path);
    } catch (error) {
      const reason = oneLine(errorMessage(error));
      throw new Pi05Error(
        'CHECKPOINT_TOKENIZER',
        `Expected a Hugging Face tokenizer in ${path}, received: ${reason}`,
        path,
      );
    }
    return tokenizer;
  }

  /** Ids of a text, without BOS. */
  encode(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }
}
