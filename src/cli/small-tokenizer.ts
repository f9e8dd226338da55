/**
 * A tokenizer for checkpoints whose embedding table has 512 rows, in the format of Hugging Face's `tokenizer.json` and
 * built like Gemma's: BPE with byte fallback, ▁ for a space, one token per digit, BOS first. Only the words of this
 * project's prompts have tokens; other text is split into letters and bytes.
 */

/** All token ids are below this. */
export const SMALL_VOCABULARY = 512;

const SPECIAL = ['<pad>', '<eos>', '<bos>', '<unk>'];
const WORDS = ['Task:', '▁State:', 'Action:', '▁pick', '▁place', '▁the', '▁up', '▁and', '▁on', '▁in', '▁to'];
const MORE_WORDS = ['▁red', '▁green', '▁blue', '▁block', '▁cube', '▁table', '▁left', '▁right', '▁put', '▁bin'];

/** The file's content as a JSON value. */
export function smallTokenizer(): object {
  const { vocabulary, merges } = buildVocabulary();
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<bos>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [
        { SpecialToken: { id: '<bos>', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '<bos>', type_id: 1 } },
        { Sequence: { id: 'B', type_id: 1 } },
      ],
      special_tokens: { '<bos>': { id: '<bos>', ids: [2], tokens: ['<bos>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** Special tokens, the 256 bytes, ▁, newline and printable ASCII, then the prefixes of each word, shortest first. */
function buildVocabulary(): { vocabulary: string[]; merges: [string, string][] } {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const printable = Array.from({ length: 0x7f - 0x21 }, (_, i) => String.fromCharCode(0x21 + i));
  const vocabulary = new Set([...SPECIAL, ...bytes, '▁', '\n', ...printable]);
  const merges: [string, string][] = [];
  const words = [...WORDS, ...MORE_WORDS];
  for (let length = 2; length <= Math.max(...words.map((word) => word.length)); length += 1) {
    for (const word of words) {
      const start = word.slice(0, length);
      if (start.length < length || vocabulary.has(start)) continue;
      vocabulary.add(start);
      merges.push([start.slice(0, -1), start.slice(-1)]);
    }
  }
  return { vocabulary: [...vocabulary], merges };
}
