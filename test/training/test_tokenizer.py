"""The tokenizer: one token per word and number, and prompts as openpi writes them."""

import json

import numpy as np
import pytest
import tokenizers
from conftest import FIXTURES

from training.tokenizer import COMMON_WORDS, NUMBERS, PromptTokenizer, build_tokenizer, prompt_text, state_numbers

WORDS = ["zebra", "Quartz"]
FILE = build_tokenizer(WORDS)
TOKENIZER = PromptTokenizer(FILE)
PROMPTS = [
    "pick up the red block",
    "  Put the blue_block\ninto the bowl.",
    "déplace le cube 🤖, vite!",
    "block 12 of 300: 1284 -12",
    "PICK <eos> up\tnow",
    "",
]


def test_the_vocabulary_has_at_most_1000_entries_with_ids_from_0():
    assert TOKENIZER.size <= 1000
    assert sorted(TOKENIZER.vocabulary.values()) == list(range(TOKENIZER.size))


def test_each_state_number_is_one_token_at_each_place():
    numbers = list(NUMBERS)
    ids = [TOKENIZER.vocabulary[f"▁{n}"] for n in numbers]
    for shift in range(0, len(numbers), 5):  # each number at the first and the last place, and after many others
        turned = numbers[shift:] + numbers[:shift]
        encoded = TOKENIZER.encode_text(prompt_text("put the red block into the bowl", turned))
        assert encoded[-1 - len(numbers) : -1] == ids[shift:] + ids[:shift]
    for number, index in zip(numbers, ids, strict=True):
        encoded = TOKENIZER.encode_text(prompt_text("touch it", [number] * 8))
        assert len(encoded) == 1 + 1 + 2 + 1 + 8 + 1
        assert encoded[5:13] == [index] * 8


@pytest.mark.parametrize("word", ["zebra", "Zebra", "QUARTZ", *COMMON_WORDS[::20]])
def test_a_word_is_one_token_in_any_case(word):
    assert TOKENIZER.encode_text(f" {word}") == [2, TOKENIZER.vocabulary[f"▁{word.lower()}"]]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_each_text_becomes_tokens_from_which_it_can_be_restored(prompt):
    text = prompt_text(prompt, [-1, 0, 7, 42, 128, 199, 254, 255])
    ids = TOKENIZER.encode_text(text)
    assert TOKENIZER.vocabulary["<unk>"] not in ids
    assert ids.count(2) == 1
    whole = tokenizers.Tokenizer.from_str(json.dumps(FILE))
    assert whole.decode(ids, skip_special_tokens=True) == text.lower()


def test_many_observations_get_the_ids_of_the_tokenizer():
    rng = np.random.default_rng(0)
    index = rng.integers(0, len(PROMPTS), 500)
    states = rng.uniform(-1.1, 1.1, (500, 8))
    tokens = TOKENIZER.encode_all(PROMPTS, index, states, length=64)
    for i in range(500):
        expected = TOKENIZER.encode(PROMPTS[index[i]], states[i])
        assert tokens.counts[i] == len(expected)
        assert tokens.ids[i].tolist() == expected + [0] * (64 - len(expected))


def test_a_prompt_that_is_too_long_is_refused():
    with pytest.raises(
        ValueError, match="Expected at most 10 tokens, received 17 from the prompt 'pick up the red block'"
    ):
        TOKENIZER.encode_all(PROMPTS[:1], np.zeros(1, int), np.zeros((1, 8)), length=10)


def test_words_with_other_characters_are_refused():
    with pytest.raises(ValueError, match="Expected words of the letters a to z, received don't"):
        build_tokenizer(["don't"])


def test_prompt_texts_equal_openpi_s():
    golden = json.loads((FIXTURES / "prompt_format.json").read_text())
    states = {"full_3": golden["state_3"], "full_7": golden["state_7_float32"]}
    for row in golden["rows"]:
        for key, state in states.items():
            assert prompt_text(row["prompt"], state_numbers(np.array(state))) == row[key]


def test_state_numbers_equal_openpi_s():
    for row in json.loads((FIXTURES / "state_tokens.json").read_text())["rows"]:
        state = np.array([float(value) for value in row["state"]], dtype=row["dtype"])
        assert state_numbers(state).tolist() == row["values"]


def test_embeddings_of_neighbouring_numbers_start_close():
    table = TOKENIZER.initial_embedding(192, np.random.default_rng(0))
    assert table.shape == (TOKENIZER.size, 192)
    assert table.std() == pytest.approx(192**-0.5, rel=0.02)
    of = {number: table[TOKENIZER.vocabulary[f"▁{number}"]] for number in NUMBERS}

    def cosine(a: int, b: int) -> float:
        return float(of[a] @ of[b] / np.linalg.norm(of[a]) / np.linalg.norm(of[b]))

    assert min(cosine(n, n + 1) for n in range(255)) > 0.95
    assert max(cosine(n, n + 60) for n in range(190)) < 0.8
    assert cosine(0, 255) < 0.5


def test_punctuation_marks_among_the_words_add_no_token():
    assert build_tokenizer([*WORDS, ".", ","]) == FILE
