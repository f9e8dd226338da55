"""The tasks of the arm and the wordings of their prompts."""

import functools
import itertools
import re
from dataclasses import dataclass

import numpy as np

TASKS = ("touch", "pick", "bowl", "stack")
COLOURS = ("red", "green", "blue")
"""The blocks, in the order of their indices."""

CONTROL_RATE = 15  # Hz
TIME_LIMITS = {"touch": 96, "pick": 144, "bowl": 240, "stack": 240}
"""Control ticks until a task has failed."""

# Among sampled prompts:
CANONICAL_SHARE = 0.2  # the canonical wording
PLAIN_SHARE = 0.7  # of the others, those without "please" or "can you"
MARK_SHARE = 0.3  # of the others, those with a capital letter, and those with a final mark


@dataclass(frozen=True)
class Task:
    """`kind` is one of TASKS. `block` is the block to move, `onto` the one below it (of stack only), as indices of COLOURS."""

    kind: str
    block: int
    onto: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in TASKS:
            raise ValueError(f"Expected one of {', '.join(TASKS)} for kind, received {self.kind}")
        others = [index for index in range(len(COLOURS)) if index != self.block]
        if len(others) == len(COLOURS):
            raise ValueError(f"Expected 0 … {len(COLOURS) - 1} for block, received {self.block}")
        if self.onto not in (others if self.kind == "stack" else [None]):
            expected = f"{others[0]} or {others[1]}" if self.kind == "stack" else "None"
            raise ValueError(f"Expected {expected} for onto, received {self.onto}")


NOUNS = ("block", "cube", "brick", "box")
# The first entry of each group is canonical. {block} and {onto} stand for "the red block" and the like.
SENTENCES = {
    "touch": tuple(
        f"{verb} {{block}}" for verb in ("touch", "tap", "tap on", "poke", "reach for", "reach to", "make contact with")
    ),
    "pick": (
        *(f"{verb} {{block}}" for verb in ("pick up", "lift", "lift up", "grab", "raise", "take", "grasp")),
        *(f"{verb} {{block}} {adverb}" for verb in ("pick", "lift") for adverb in ("up", "off the table")),
        *(f"{verb} {{block}} from the table" for verb in ("pick up", "take")),
    ),
    "bowl": tuple(
        f"{verb} {{block}} {preposition} the bowl"
        for verb in ("put", "place", "drop", "move")
        for preposition in ("into", "in", "inside")
    ),
    "stack": tuple(
        f"{verb} {{block}} {preposition} {{onto}}"
        for verb in ("put", "place", "stack", "set", "move")
        for preposition in ("on", "onto", "on top of")
    ),
}
REQUESTS = ("{}", "please {}", "{}, please", "{} please", "can you {}", "could you {}")
QUESTIONS = REQUESTS[4:]


def blocks_named(block: str, onto: str | None) -> list[dict[str, str]]:
    """The ways to name the blocks of a task, by colours. Two blocks have the same noun, or the second one is "one"."""
    nouns = [(noun, other) for noun in NOUNS for other in (noun, "one")] if onto else [(noun, "") for noun in NOUNS]
    nouns += [("one", "one" if onto else "")]
    return [{"block": f"the {block} {noun}", "onto": f"the {onto} {other}"} for noun, other in nouns]


def names_in(task: Task) -> list[dict[str, str]]:
    return blocks_named(COLOURS[task.block], None if task.onto is None else COLOURS[task.onto])


def prompt(sentence: str, names: dict[str, str], request: str, capital: bool, mark: bool) -> str:
    """One wording. `capital`: the first letter is a capital; `mark`: it ends with a full stop or a question mark."""
    text = request.format(sentence.format(**names))
    text = text[0].upper() + text[1:] if capital else text
    return text + ("?" if request in QUESTIONS else ".") if mark else text


@functools.cache
def prompts(task: Task) -> tuple[str, ...]:
    """All wordings of a task. The first one is canonical."""
    parts = (SENTENCES[task.kind], names_in(task), REQUESTS, (False, True), (False, True))
    return tuple(prompt(*chosen) for chosen in itertools.product(*parts))


def sample_prompt(task: Task, rng: np.random.Generator) -> str:
    """The canonical wording with probability CANONICAL_SHARE. Any other has short requests more often than long ones."""
    if rng.random() < CANONICAL_SHARE:
        return prompts(task)[0]
    sentences, names = SENTENCES[task.kind], names_in(task)
    request = REQUESTS[0] if rng.random() < PLAIN_SHARE else REQUESTS[int(rng.integers(1, len(REQUESTS)))]
    sentence, names = sentences[int(rng.integers(len(sentences)))], names[int(rng.integers(len(names)))]
    return prompt(sentence, names, request, *(bool(rng.random() < MARK_SHARE) for _ in range(2)))


def sample_task(kind: str, rng: np.random.Generator) -> Task:
    """A task with random blocks."""
    block, onto = (int(index) for index in rng.permutation(len(COLOURS))[:2])
    return Task(kind, block, onto if kind == "stack" else None)


def all_tasks() -> tuple[Task, ...]:
    """Each possible task once: 3 of touch, pick and bowl, 6 of stack."""
    indices = range(len(COLOURS))
    single = [Task(kind, block) for kind in TASKS if kind != "stack" for block in indices]
    return (*single, *(Task("stack", block, onto) for block, onto in itertools.permutations(indices, 2)))


def vocabulary() -> tuple[str, ...]:
    """Every word and punctuation mark of the prompts, sorted."""
    return tuple(
        sorted({word for task in all_tasks() for text in prompts(task) for word in re.findall(r"\w+|[^\w\s]", text)})
    )


def task_of_prompt(prompt: str) -> Task | None:
    """The task of which the prompt is a wording, whatever its case and spaces; None for any other prompt."""
    return tasks_by_prompt().get(normalised(prompt))


@functools.cache
def tasks_by_prompt() -> dict[str, Task]:
    return {normalised(wording): task for task in all_tasks() for wording in prompts(task)}


def normalised(prompt: str) -> str:
    return " ".join(prompt.lower().split())
