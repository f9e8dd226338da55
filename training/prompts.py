"""Prompts with additional words, so that a policy learns to ignore words that carry no meaning."""

import string
from collections.abc import Collection

import numpy as np

from training.tokenizer import COMMON_WORDS

OPENINGS = ("can you", "could you", "would you", "now", "robot,", "next,", "I want you to", "go and", "then")
CLOSINGS = ("now", "for me", "quickly", "slowly", "carefully", "gently", "again")


def with_additional_words(prompt: str, meaningful: Collection[str], rng: np.random.Generator) -> str:
    """`prompt` with an opening, a closing, or a word that is not in `meaningful` (lower case) at a random place.

    That word is one of the tokenizer's COMMON_WORDS or, half of the time, random letters.
    """
    kind = rng.integers(3)
    if kind == 0:
        return f"{rng.choice(OPENINGS)} {prompt}"
    if kind == 1:
        return f"{prompt} {rng.choice(CLOSINGS)}"
    if rng.random() < 0.5:
        word = "".join(rng.choice(list(string.ascii_lowercase), size=rng.integers(2, 7)))
    else:
        word = str(rng.choice([word for word in COMMON_WORDS if word not in meaningful]))
    words = prompt.split(" ")
    words.insert(int(rng.integers(len(words) + 1)), word)
    return " ".join(words)
