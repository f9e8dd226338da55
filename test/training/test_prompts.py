"""Prompts with additional words."""

import numpy as np

from sim.tasks import all_tasks, prompts, vocabulary
from training.prompts import CLOSINGS, OPENINGS, with_additional_words
from training.tokenizer import COMMON_WORDS, PromptTokenizer, build_tokenizer


def test_additional_words_are_without_meaning_and_keep_the_prompt_s_words_in_order():
    meaningful = {word.lower() for word in vocabulary()}
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(600):
        prompt = "put the red block into the bowl"
        words = with_additional_words(prompt, meaningful, rng).split(" ")
        rest = iter(words)
        assert all(word in rest for word in prompt.split(" "))
        added = list(words)
        for word in prompt.split(" "):
            added.remove(word)
        seen.add(" ".join(added))
    assert seen >= set(OPENINGS) | set(CLOSINGS)
    others = seen - set(OPENINGS) - set(CLOSINGS)
    assert others.isdisjoint(meaningful - set(" ".join(OPENINGS + CLOSINGS).split()))
    assert len(others & set(COMMON_WORDS)) > 20
    assert len(others - set(COMMON_WORDS)) > 20


def test_each_word_of_the_tasks_prompts_is_one_token():
    tokenizer = PromptTokenizer(build_tokenizer(vocabulary()))
    letters = {tokenizer.vocabulary[letter] for letter in "abcdefghijklmnopqrstuvwxyz"}
    for task in all_tasks():
        for prompt in prompts(task):
            assert letters.isdisjoint(tokenizer.encode_text(f"Task: {prompt}, State:")), prompt
