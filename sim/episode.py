"""An episode: one layout, one task, one prompt. Runs it with any policy and makes its record. No ROS."""

from dataclasses import dataclass

import numpy as np

from sim.evaluation.smoothness import smoothness
from sim.execution import MAX_VELOCITY
from sim.judge import Judge
from sim.layouts import HELD_OUT_SEEDS, TRAINING_SEEDS, sample_layout
from sim.scene import Scene
from sim.tasks import COLOURS, CONTROL_RATE, Task, sample_prompt, sample_task

SECOND = 1_000_000_000  # ns
PERIOD = round(SECOND / CONTROL_RATE)  # ns between two control ticks
PHYSICS_STEPS = 20  # of one period
SPACING = 20 * SECOND  # ns between the starts of two episodes; longer than any of them
EPISODES_PER_SEED = 10_000
FIRST_SEEDS = HELD_OUT_SEEDS.stop // EPISODES_PER_SEED
SEEDS = range(2**31)
"""Of evaluations. The first FIRST_SEEDS have their layouts in HELD_OUT_SEEDS, all others beyond TRAINING_SEEDS."""

# Random numbers for different purposes, from one layout seed.
TASK_STREAM, PROMPT_STREAM = 1, 2


@dataclass(frozen=True)
class Episode:
    """What is run. It follows from its index and the seed of the evaluation."""

    index: int
    layout_seed: int
    task: Task
    prompt: str

    @property
    def start(self) -> int:
        """Simulated time at which it starts, ns. Tick k of its control ticks, k ≥ 1, is k periods later."""
        return self.index * SPACING


def deal(kinds: tuple[str, ...], seed: int, index: int) -> Episode:
    """Episode `index` of the evaluation with `seed`: the kinds of task are dealt in turn.

    Two seeds have no layout in common. Raises ValueError for a seed or an index outside SEEDS and EPISODES_PER_SEED.
    """
    if seed not in SEEDS:
        raise ValueError(f"Expected a seed from {SEEDS.start} to {SEEDS.stop - 1}, received {seed}")
    if not 0 <= index < EPISODES_PER_SEED:
        raise ValueError(f"Expected an episode from 0 to {EPISODES_PER_SEED - 1}, received {index}")
    layout_seed = (0 if seed < FIRST_SEEDS else TRAINING_SEEDS.stop) + seed * EPISODES_PER_SEED + index
    task = sample_task(kinds[index % len(kinds)], np.random.default_rng((layout_seed, TASK_STREAM)))
    prompt = sample_prompt(task, np.random.default_rng((layout_seed, PROMPT_STREAM)))
    return Episode(index, layout_seed, task, prompt)


class EpisodeRun:
    """An episode in progress: advances the physics, judges them and keeps what the record needs."""

    def __init__(self, scene: Scene, episode: Episode) -> None:
        scene.reset(sample_layout(episode.layout_seed, episode.task))
        self.scene = scene
        self.episode = episode
        self.ticks = 0
        self.verdict: str | None = None
        self.velocities: list[np.ndarray] = []  # [7] rad/s, one a command
        self._judge = Judge(scene, episode.task)

    @property
    def next_tick(self) -> int:
        """Simulated time of the next control tick, ns."""
        return self.episode.start + (self.ticks + 1) * PERIOD

    def advance(self) -> bool:
        """Simulates one period, from the next tick on. Returns whether the episode has ended."""
        self.scene.advance(self.next_tick, PERIOD, PHYSICS_STEPS)
        return self.judge()

    def judge(self) -> bool:
        """Judges the present state at the end of a period. Returns whether the episode has ended."""
        self.ticks += 1
        self.verdict = self._judge.update()
        return self.verdict is not None

    def record(self, prompt: str, chunks: int) -> dict:
        """The result, see docs/evaluation.md. `prompt`: the one that the policy received."""
        task, first = self.episode.task, self._judge.first_touched
        return {
            "episode": self.episode.index,
            "layout_seed": self.episode.layout_seed,
            "task": task.kind,
            "block": COLOURS[task.block],
            "onto": None if task.onto is None else COLOURS[task.onto],
            "prompt": prompt,
            "success": self.verdict == "success",
            "reason": self._judge.reason if self.verdict == "failure" else None,
            "first_touched": None if first is None else COLOURS[first],
            "ticks": self.ticks,
            "time_s": round(self.ticks / CONTROL_RATE, 3),
            "chunks": chunks,
            "smoothness": smoothness(self.velocities, CONTROL_RATE, MAX_VELOCITY),
        }
