"""The tasks and the wordings of their prompts."""

import re

import numpy as np
import pytest

from sim.tasks import (
    COLOURS,
    TASKS,
    TIME_LIMITS,
    Task,
    all_tasks,
    prompts,
    sample_prompt,
    sample_task,
    task_of_prompt,
    vocabulary,
)


def test_the_first_wording_is_the_canonical_one():
    assert prompts(Task("touch", 0))[0] == "touch the red block"
    assert prompts(Task("pick", 1))[0] == "pick up the green block"
    assert prompts(Task("bowl", 2))[0] == "put the blue block into the bowl"
    assert prompts(Task("stack", 0, 1))[0] == "put the red block on the green block"


def test_no_wording_fits_two_tasks():
    wordings = [text.lower() for task in all_tasks() for text in {text.lower() for text in prompts(task)}]
    assert len(wordings) == len(set(wordings))


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: prompts(task)[0])
def test_each_wording_names_the_blocks_in_the_order_of_the_task(task):
    named = [COLOURS[task.block]] + ([COLOURS[task.onto]] if task.kind == "stack" else [])
    for text in prompts(task):
        assert [word for word in re.findall(r"\w+", text) if word in COLOURS] == named
        assert ("the bowl" in text) == (task.kind == "bowl")


def test_the_vocabulary_has_every_word_of_the_prompts():
    words = set(vocabulary())
    assert {"touch", "Touch", "please", "Please", "brick", "one", "bowl", ".", ",", "?"} <= words
    assert len(words) < 100
    used = set()
    for task in all_tasks():
        for text in prompts(task):
            used |= set(text.replace(".", " . ").replace(",", " , ").replace("?", " ? ").split())
    assert used == words


def test_the_wordings_are_natural_sentences():
    """Some that are expected, and no word twice in a row."""
    assert {"tap the blue cube", "Please touch the blue block.", "reach for the blue one"} <= set(prompts(Task("touch", 2)))
    assert {"lift the red block", "grab the red cube, please", "take the red brick"} <= set(prompts(Task("pick", 0)))
    assert {"Drop the red block in the bowl.", "Can you move the red one inside the bowl?"} <= set(prompts(Task("bowl", 0)))
    assert {"stack the red cube on the green cube", "place the red block on top of the green one"} <= set(
        prompts(Task("stack", 0, 1))
    )
    for task in all_tasks():
        for text in prompts(task):
            assert not re.search(r"\b(\w+) \1\b", text)
            assert re.fullmatch(r"[A-Za-z][a-z ,]+[.?]?", text)


def test_no_wording_appears_twice():
    for task in all_tasks():
        assert len(prompts(task)) == len(set(prompts(task)))


def test_sampled_prompts_are_wordings_of_the_task_and_the_same_for_the_same_seed():
    task = Task("stack", 2, 0)
    first, second = ([sample_prompt(task, rng) for _ in range(50)] for rng in map(np.random.default_rng, (3, 3)))
    assert first == second
    assert set(first) <= set(prompts(task))
    assert 2 < first.count(prompts(task)[0]) < 25


def test_sampled_tasks_cover_every_task():
    rng = np.random.default_rng(0)
    assert {sample_task(kind, rng) for kind in TASKS for _ in range(60)} == set(all_tasks())


def test_each_kind_has_a_time_limit():
    assert tuple(TIME_LIMITS) == TASKS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("push", 0), "Expected one of touch, pick, bowl, stack for kind, received push"),
        (("pick", 3), "Expected 0 … 2 for block, received 3"),
        (("pick", 0, 1), "Expected None for onto, received 1"),
        (("stack", 1, 1), "Expected 0 or 2 for onto, received 1"),
        (("stack", 1), "Expected 0 or 2 for onto, received None"),
    ],
)
def test_a_task_that_does_not_exist_is_rejected(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Task(*values)


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: prompts(task)[0])
def test_the_task_of_a_prompt_is_found_whatever_its_case_and_spaces(task):
    for wording in prompts(task):
        assert task_of_prompt(f"  {wording.upper()} ".replace(" ", "  ")) == task


@pytest.mark.parametrize("prompt", ["", "wave", "touch the yellow block", "put the red block on the red block"])
def test_a_prompt_that_is_no_wording_has_no_task(prompt):
    assert task_of_prompt(prompt) is None
