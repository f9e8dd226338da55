"""New tasks for training: what a module must define so that episodes of it can be recorded, judged and trained on.

A kind of task is one of `sim.tasks.TASKS`, or the name of a Python module whose `TASK` is a `NewTask`, such as
training.examples.hover. docs/train-your-own.md shows how to write one.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.expert import (
    ANGULAR_GAIN,
    HORIZON,
    LINEAR_GAIN,
    MAX_ANGULAR,
    MAX_LINEAR,
    MAX_PREFIX,
    PERIOD,
    VELOCITY_SCALE,
    ExpertState,
    joint_velocity,
    rotation_error,
)
from sim.judge import HOLD_TICKS, MOVED, Judge
from sim.kinematics import hand_frames
from sim.layouts import Layout, sample_layout
from sim.scene import Scene
from sim.tasks import TASKS, Task, sample_prompt, sample_task

Decide = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From joint positions [n, 7] (rad) to joint velocities [n, 7] (rad/s) and gripper actions [n] (0 open, 1 closed)."""


@dataclass(frozen=True)
class NewTask:
    """A task of one module. Its layouts are those of a built-in kind: "bowl" always has a bowl."""

    kind: str  # the name of the module
    prompts: tuple[str, ...]
    time_limit: int  # control ticks
    is_done: Callable[[Scene], bool]
    """Whether the goal holds now. The task has succeeded when it holds for HOLD_TICKS control ticks."""
    expert: Callable[[ExpertState, np.ndarray, np.ndarray], np.ndarray]
    """Chunks [n, HORIZON, 8] from n states; arguments as of `sim.expert.expert_chunk`."""
    layout_kind: str = "bowl"
    may_move: tuple[str, ...] = ()
    """Objects that the task moves, such as "red_block". The task fails if another one moves by more than MOVED."""


class NewTaskJudge:
    """As `sim.judge.Judge`, for a NewTask."""

    def __init__(self, scene: Scene, task: NewTask) -> None:
        self.reason = ""
        self._scene, self._task = scene, task
        self._starts = {name: scene.position(name) for name in scene.objects if name not in task.may_move}
        self._ticks = self._done_ticks = 0

    def update(self) -> str | None:
        """Call it after each control tick until it returns "success" or "failure"."""
        self._ticks += 1
        moved = [n for n, start in self._starts.items() if np.linalg.norm(self._scene.position(n) - start) > MOVED]
        self._done_ticks = self._done_ticks + 1 if self._task.is_done(self._scene) else 0
        if moved:
            self.reason = f"moved {moved[0]}"
            return "failure"
        if self._done_ticks >= HOLD_TICKS:
            self.reason = "done"
            return "success"
        if self._ticks >= self._task.time_limit:
            self.reason = "time limit"
            return "failure"
        return None


def roll_out(state: ExpertState, decide: Decide, prefix: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The chunks [n, HORIZON, 8] of a memoryless expert that needs only the joint positions and where the objects are
    now.

    The arm follows the velocities exactly. The first `lengths` [n] steps are those of `prefix` [n, m, 8].

    """
    q = state.q.copy()
    actions = np.zeros((len(q), HORIZON, 8))
    for step in range(HORIZON):
        velocity, gripper = decide(q)
        known = step < lengths
        row = prefix[:, min(step, prefix.shape[1] - 1)]
        executed = np.clip(row[:, :7] * VELOCITY_SCALE, -MAX_PREFIX, MAX_PREFIX)
        velocity = np.where(known[:, None], executed, velocity)
        actions[:, step, :7] = velocity / VELOCITY_SCALE
        actions[:, step, 7] = np.where(known, row[:, 7], gripper)
        q = q + velocity * PERIOD
    return actions


def velocity_towards(q: np.ndarray, goal: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Joint velocities [n, 7] (rad/s) that bring the TCP straight to `goal` [n, 3] (m), the hand down with `yaw` [n]
    (rad).
    """
    tcp, frame, jacobian = hand_frames(q)
    linear = _limited(LINEAR_GAIN * (goal - tcp), MAX_LINEAR)
    angular = _limited(ANGULAR_GAIN * rotation_error(frame, yaw), MAX_ANGULAR)
    return joint_velocity(jacobian, np.concatenate([linear, angular], axis=1), q)


def _limited(vectors: np.ndarray, most: float) -> np.ndarray:
    """[n, 3], shortened to the length `most`."""
    return vectors * np.minimum(1.0, most / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9))


def sample_task_of(kind: str, rng: np.random.Generator) -> Task | NewTask:
    """A task of a kind. Raises ValueError if a module has no TASK."""
    if kind in TASKS:
        return sample_task(kind, rng)
    return find(kind)


def find(kind: str) -> NewTask:
    """The task of a module."""
    task = getattr(importlib.import_module(kind), "TASK", None)
    if not isinstance(task, NewTask) or task.kind != kind:
        raise ValueError(f"Expected TASK, a NewTask of kind {kind}, in that module, received {task}")
    return task


def sample_prompt_of(task: Task | NewTask, rng: np.random.Generator) -> str:
    return str(rng.choice(task.prompts)) if isinstance(task, NewTask) else sample_prompt(task, rng)


def layout_of(seed: int, task: Task | NewTask) -> Layout:
    """The layout of a seed."""
    return sample_layout(seed, Task(task.layout_kind, 0) if isinstance(task, NewTask) else task)


def needs_bowl(task: Task | NewTask) -> bool:
    return (task.layout_kind if isinstance(task, NewTask) else task.kind) == "bowl"


def judge_of(scene: Scene, task: Task | NewTask) -> Judge | NewTaskJudge:
    """The judge of an attempt that begins now."""
    return NewTaskJudge(scene, task) if isinstance(task, NewTask) else Judge(scene, task)
