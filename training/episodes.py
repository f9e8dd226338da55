"""Episodes for training: a simulated arm that is moved by the noisy expert or by the policy, one decision after the other.

A decision is the time from one observation to the next, 8 control ticks. Whoever moves the arm, the expert labels what is
seen.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from sim.execution import Execution
from sim.expert import FINGER_OPEN, HORIZON, PERIOD, VELOCITY_SCALE, ExpertState, square_yaws
from sim.judge import Judge
from sim.kinematics import hand_frames
from sim.layouts import HELD_OUT_SEEDS, TRAINING_SEEDS, Layout, sample_layout
from sim.scene import Scene
from sim.tasks import TASKS, Task, sample_prompt, sample_task

PERIOD_NS = round(PERIOD * 1e9)
STEPS_PER_TICK = 20  # physics steps
KEPT_AFTER_SUCCESS = 2  # decisions

BURST_PROBABILITY = 0.35  # of a decision of the noisy expert
BURST = (0.1, 0.45)  # rad/s, range of the amplitudes
FLIP_PROBABILITY = 0.03  # of the gripper, for a few ticks of a decision
CLEAN_SHARE = 0.25  # of the expert's episodes, without noise
WIDE_SHARE = 0.4  # of the episodes start in a pose far from home
WIDE_START = 0.25  # rad
WIDE_START_HEIGHT = 0.16  # m, the least height of the TCP


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Which episodes an environment plays."""

    kinds: tuple[str, ...] = TASKS
    weights: tuple[float, ...] = (1, 1, 1, 1)
    policy_share: float = 0.0  # of the episodes; the noisy expert moves the arm in the others
    max_delay: int = 0  # ticks; the delay of an episode is uniform in 0 … max_delay


class Environment:
    """One simulated arm. After each decision `outcome` is None, "success" or "failure"."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.scene = Scene()
        self._rng = rng
        self.by_policy = False

    def start_training(self, assignment: Assignment) -> None:
        """Starts a random episode."""
        rng = self._rng
        weights = np.array(assignment.weights, dtype=float)
        task = sample_task(assignment.kinds[rng.choice(len(weights), p=weights / weights.sum())], rng)
        seed = int(rng.integers(TRAINING_SEEDS.start, TRAINING_SEEDS.stop))
        delay = int(rng.integers(assignment.max_delay + 1))
        layout = sample_layout(seed, task)
        if rng.random() < WIDE_SHARE:
            layout = dataclasses.replace(layout, start=wide_start(layout.start, rng))
        self._start(seed, layout, task, sample_prompt(task, rng), delay)
        self.by_policy = bool(rng.random() < assignment.policy_share)
        self._noisy = not self.by_policy and rng.random() > CLEAN_SHARE

    def start_held_out(self, seed: int, kind: str, delay: int) -> None:
        """Starts the episode of a seed that training never uses; the policy moves the arm."""
        if seed not in HELD_OUT_SEEDS:
            raise ValueError(f"Expected a held-out seed, received {seed}")
        rng = np.random.default_rng(seed)
        task = sample_task(kind, rng)
        self._start(seed, sample_layout(seed, task), task, sample_prompt(task, rng), delay)
        self.by_policy, self._noisy = True, False

    def _start(self, seed: int, layout: Layout, task: Task, prompt: str, delay: int) -> None:
        self.task, self.prompt, self.seed = task, prompt, seed
        self.scene.reset(layout)
        self._judge = Judge(self.scene, task)
        self.outcome: str | None = None
        self._time = 0
        self._execution = Execution(delay)
        self._after_success = 0

    @property
    def is_over(self) -> bool:
        """The episode was decided, and what follows a success was seen."""
        return self.outcome == "failure" or (self.outcome == "success" and self._after_success >= KEPT_AFTER_SUCCESS)

    def execute(self, chunk: np.ndarray, frames_at: tuple[int, ...]) -> Iterator[None]:
        """Executes the chunk [HORIZON, 8] of this observation until the next one; yields after the ticks `frames_at`."""
        self._execution.submit(self._disturbed(chunk) if self._noisy else chunk)
        tick = 0
        while tick == 0 or not self._execution.wants_observation:
            velocity, finger = self._execution.command()
            self.scene.control.set_velocity(velocity, "training")
            self.scene.gripper.set_position([finger], "training")
            self.scene.advance(self._time, PERIOD_NS, STEPS_PER_TICK)
            self._time += PERIOD_NS
            tick += 1
            if self.outcome is None:
                self.outcome = self._judge.update()
            if tick in frames_at:
                yield
        if self.outcome == "success":
            self._after_success += 1

    def _disturbed(self, chunk: np.ndarray) -> np.ndarray:
        """The chunk, in some decisions with a smooth burst of noise or with the gripper reversed for a few steps."""
        rng, chunk = self._rng, chunk.copy()
        if rng.random() < BURST_PROBABILITY:
            direction = rng.normal(size=7) / np.sqrt(7)
            shape = np.sin(np.linspace(0, np.pi, HORIZON))
            chunk[:, :7] += shape[:, None] * direction * rng.uniform(*BURST) * np.sqrt(3) / VELOCITY_SCALE
        if rng.random() < FLIP_PROBABILITY:
            first = int(rng.integers(8))
            chunk[first : first + int(rng.integers(2, 7)), 7] = 1.0 - chunk[first, 7]
        return chunk

    @property
    def reason(self) -> str:
        return str(self._judge.reason)

    def observed_state(self) -> np.ndarray:
        """[8]: joint positions (rad), gripper 0 open … 1 closed."""
        return np.array([*self.scene.joint_positions, 1.0 - self.scene.finger_position / FINGER_OPEN])

    def is_solvable(self) -> bool:
        """The named block is where the arm reaches it."""
        x, y, z = self.scene.block_positions[self.task.block]
        return z > 0 and np.hypot(x, y) < 0.76 and x > 0.2


def wide_start(start: tuple[float, ...], rng: np.random.Generator) -> tuple[float, ...]:
    """A start pose [7] (rad) further from home than the layout's, with the hand above the objects and pointing down."""
    while True:
        q = np.array(start) + rng.normal(0, WIDE_START, 7)
        tcp, frame, _ = hand_frames(q[None])
        if tcp[0, 2] > WIDE_START_HEIGHT and frame[0, 2, 2] < -0.8 and 0.25 < np.hypot(*tcp[0, :2]) < 0.7:
            return tuple(q)


def expert_state(environments: list[Environment]) -> ExpertState:
    """The present states of the environments as arrays for the expert."""
    scenes = [environment.scene for environment in environments]
    tasks = [environment.task for environment in environments]
    return ExpertState(
        q=np.array([scene.joint_positions for scene in scenes]),
        finger=np.array([scene.finger_position for scene in scenes]),
        blocks=np.array([scene.block_positions for scene in scenes]),
        yaws=square_yaws(np.array([scene.block_quats for scene in scenes])),
        halves=np.array([scene.block_half_sizes for scene in scenes]),
        bowl=np.array([scene.bowl_position for scene in scenes]),
        kind=np.array([TASKS.index(task.kind) for task in tasks]),
        block=np.array([task.block for task in tasks]),
        onto=np.array([task.onto or 0 for task in tasks]),
    )

