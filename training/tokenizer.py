"""A small tokenizer: one token per known word and per state number, and the prompts of many observations at once.

`tokenizer.json` is in Hugging Face's format, for the node and for `tokenizers` in Python. Its BPE model has no merges:
a regular expression splits the text, a piece in the vocabulary is one token, and any other piece becomes letters and
bytes. Text is lower-cased, so that "Pick" and "pick" are the same word.
"""

import dataclasses
import json
import string
from collections.abc import Iterable, Sequence

import numpy as np
import tokenizers

PAD, EOS, BOS, UNKNOWN = "<pad>", "<eos>", "<bos>", "<unk>"
SPECIAL = (PAD, EOS, BOS, UNKNOWN)  # ids 0 to 3, as in Gemma's vocabulary

# The text around the task and the state numbers, lower-cased and with ▁ for a space: one token each.
TEMPLATE = ("task:", ",▁state:", ";\naction:▁")
NUMBERS = range(-1, 256)  # all that a state dimension can be in a prompt
PIECES = r"task:|,▁state:|;\naction:▁|▁-?[0-9]+|▁?[a-z]+"

# Words beyond those of the tasks, for prompts with other wordings and for new tasks.
COMMON_WORDS = """
a again an and any arm at away back ball basket behind below beside between black block blue bottle bowl box
brown by can carefully close could cube cup cyan dark dish down drop from front gently get give go grab grasp
gray green grey grip hand here hold in inside into it its keep large left let lift light lower magenta make me
middle move near next now object of off on one onto open orange other out over pick pink place plate please
point press pull purple push put quickly raise reach red release right robot rotate round set slide slowly
small softly square stack stop table take tap that the them then there thing this tip to top touch toward
towards toy tray turn under up upon violet wait white will with would yellow you your
""".split()


def build_tokenizer(words: Iterable[str]) -> dict:
    """The content of tokenizer.json with a token for each of `words` (in any case) and of COMMON_WORDS.

    Each ASCII character has a token, so `words` may contain punctuation marks. Raises ValueError for other words.
    """
    printable = [chr(code) for code in range(0x21, 0x7F) if not chr(code).isupper()]
    known = sorted(({word.lower() for word in words} | set(COMMON_WORDS)) - set(string.punctuation))
    invalid = [word for word in known if not (word.isascii() and word.isalpha())]
    if invalid:
        raise ValueError(f"Expected words of the letters a to z, received {', '.join(invalid)}")
    # Bytes of characters that have no token: control characters and all beyond ASCII.
    fallback = [byte for byte in range(256) if byte < 0x20 or byte > 0x7E]
    numbers = [f"▁{number}" for number in NUMBERS]
    pieces = [*SPECIAL, *TEMPLATE, *numbers, *(f"▁{word}" for word in known), "▁", "\n", *printable]
    pieces += [f"<0x{byte:02X}>" for byte in fallback]
    replaced = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    restored = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    bos = {"SpecialToken": {"id": BOS, "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": index,
                "content": content,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for index, content in enumerate(SPECIAL)
        ],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, replaced]},
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": PIECES}, "behavior": "Isolated", "invert": False},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}}, bos, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {BOS: {"id": BOS, "ids": [SPECIAL.index(BOS)], "tokens": [BOS]}},
        },
        "decoder": {"type": "Sequence", "decoders": [restored, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": True,
            "vocab": {piece: index for index, piece in enumerate(pieces)},
            "merges": [],
        },
    }


def clean_prompt(prompt: str) -> str:
    """The prompt as openpi puts it into the text: stripped first, then without underscores and newlines."""
    return prompt.strip().replace("_", " ").replace("\n", " ")


def prompt_text(prompt: str, numbers: Iterable[int]) -> str:
    """The text that is tokenised for a prompt and the state numbers of an observation."""
    return f"Task: {clean_prompt(prompt)}, State: {' '.join(str(number) for number in numbers)};\nAction: "


def state_numbers(normalized: np.ndarray) -> np.ndarray:
    """The numbers -1 … 255 of normalised states, int64 of the same shape. Values are not clamped before."""
    return np.digitize(normalized, np.linspace(-1, 1, 257)[:-1]) - 1


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Token ids of N observations, padded to the same length."""

    ids: np.ndarray  # int16 [N, T], 0 after the last valid id
    counts: np.ndarray  # int64 [N], the valid ids of each


class PromptTokenizer:
    """Encodes prompts and states with the content of a tokenizer.json that `build_tokenizer` made."""

    def __init__(self, tokenizer: dict) -> None:
        self.vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
        self._numbers = np.array([self.vocabulary[f"▁{number}"] for number in NUMBERS], dtype=np.int16)
        # A literal "<eos>" in a prompt is text, for the node too.
        text_only = {**tokenizer, "added_tokens": [], "post_processor": None}
        self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(text_only))

    @property
    def size(self) -> int:
        """The number of ids, the least `prefix.vocab` of a model."""
        return len(self.vocabulary)

    def encode_text(self, text: str) -> list[int]:
        """The ids of a whole text, after BOS, as the node computes them."""
        return [self.vocabulary[BOS], *self._tokenizer.encode(text, add_special_tokens=False).ids]

    def encode(self, prompt: str, normalized: np.ndarray) -> list[int]:
        """The ids of one observation with the normalised state [S]."""
        return self.encode_text(prompt_text(prompt, state_numbers(normalized)))

    def encode_all(self, prompts: Sequence[str], index: np.ndarray, normalized: np.ndarray, length: int) -> Tokens:
        """The ids of N observations: prompt `prompts[index[i]]` and the normalised state `normalized[i]` of [N, S].

        `length` is the T of the result. Raises ValueError where a prompt needs more.
        """
        numbers = self._numbers[state_numbers(normalized) - NUMBERS.start]
        states = numbers.shape[1]
        heads = np.zeros((len(prompts), length), dtype=np.int16)
        starts = np.zeros(len(prompts), dtype=np.int64)  # of the state numbers
        for i, prompt in enumerate(prompts):
            head = self.encode_text(f"Task: {clean_prompt(prompt)}, State:")
            if len(head) + states + 1 > length:
                received = f"{len(head) + states + 1} from the prompt {prompt!r}"
                raise ValueError(f"Expected at most {length} tokens, received {received}")
            heads[i, : len(head)] = head
            starts[i] = len(head)
        ids, start = heads[index], starts[index][:, None]
        np.put_along_axis(ids, start + np.arange(states), numbers, axis=1)
        np.put_along_axis(ids, start + states, np.int16(self.vocabulary[TEMPLATE[2]]), axis=1)
        return Tokens(ids, start[:, 0] + states + 1)

    def initial_embedding(self, width: int, rng: np.random.Generator) -> np.ndarray:
        """A table [size, width] to start from, float32 with standard deviation width^-0.5.

        Embeddings of state numbers change smoothly with the number, so that 128 and 129 start close to each other.
        """
        table = rng.normal(size=(self.size, width))
        waves = 2 * np.pi / np.array([1024, 512, 256, 128, 64, 32, 16])  # rad per unit
        angles = np.array(NUMBERS)[:, None] * waves
        features = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        features *= np.tile(np.linspace(1.5, 0.5, len(waves)), 2)  # more weight for long waves
        smooth = features @ rng.normal(size=(features.shape[1], width))
        table[self._numbers] = smooth / np.sqrt(np.mean(smooth**2, axis=1, keepdims=True))
        return (table * width**-0.5).astype(np.float32)
