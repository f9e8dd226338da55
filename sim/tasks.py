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

CANONICAL_SHARE = 0.2
"""The share of the canonical wording among sampled prompts."""


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


NOUNS = ("block", "cube", "brick")
# In each group the first entry is canonical. {block} and {onto} stand for "the red block" and the like.
SENTENCES = {
    "touch": (
        *(f"{verb} {{block}}" for verb in ("touch", "tap", "poke", "reach for", "reach to")),
        "tap on {block}",
    ),
    "pick": (
        *(f"{verb} {{block}}" for verb in ("pick up", "lift", "lift up", "grab", "raise", "take")),
        "pick {block} up",
        "lift {block} up",
    ),
    "bowl": tuple(
        f"{verb} {{block}} {preposition} the bowl"
        for verb in ("put", "place", "drop", "move")
        for preposition in ("into", "in", "inside")
    ),
    "stack": tuple(
        f"{verb} {{block}} {preposition} {{onto}}"
        for verb in ("put", "place", "stack")
        for preposition in ("on", "onto", "on top of")
    ),
}
ENDINGS = ("", ".")


def blocks_named(block: str, onto: str | None) -> list[dict[str, str]]:
    """The ways to name the blocks of a task, by colours. Two blocks have the same noun, or the second one is "one"."""
    nouns = [(noun, other) for noun in NOUNS for other in (noun, "one")] if onto else [(noun, "") for noun in NOUNS]
    nouns += [("one", "one" if onto else "")]
    return [{"block": f"the {block} {noun}", "onto": f"the {onto} {other}"} for noun, other in nouns]


def politely(sentence: str) -> tuple[str, ...]:
    return sentence, f"please {sentence}", f"{sentence}, please", f"{sentence} please"


def prompts(task: Task) -> tuple[str, ...]:
    """All wordings of a task, without duplicates. The first one is canonical."""
    names = blocks_named(COLOURS[task.block], None if task.onto is None else COLOURS[task.onto])
    wordings = []
    for sentence, named in itertools.product(SENTENCES[task.kind], names):
        for polite, ending in itertools.product(politely(sentence.format(**named)), ENDINGS):
            wordings += [polite + ending, polite[0].upper() + polite[1:] + ending]
    return tuple(dict.fromkeys(wordings))


def sample_task(kind: str, rng: np.random.Generator) -> Task:
    """A task with random blocks."""
    block, onto = (int(index) for index in rng.permutation(len(COLOURS))[:2])
    return Task(kind, block, onto if kind == "stack" else None)


def sample_prompt(task: Task, rng: np.random.Generator) -> str:
    """The canonical wording with probability CANONICAL_SHARE, any other with equal probability."""
    wordings = prompts(task)
    return wordings[0] if rng.random() < CANONICAL_SHARE else wordings[int(rng.integers(len(wordings)))]


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
