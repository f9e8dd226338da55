"""Episodes for training: a simulated arm that the noisy expert or the policy moves, one decision after the other.

A decision is the time from one observation to the next, 8 control ticks. Whoever moves the arm, the expert labels what
is seen.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from sim.execution import Execution
from sim.expert import FINGER_OPEN, HORIZON, PERIOD, VELOCITY_SCALE, ExpertState, expert_chunk, expert_state
from sim.kinematics import hand_frames
from sim.layouts import HELD_OUT_SEEDS, TRAINING_SEEDS, Layout
from sim.scene import Scene
from sim.tasks import TASKS, Task, vocabulary
from training.new_tasks import NewTask, judge_of, layout_of, needs_bowl, sample_prompt_of, sample_task_of
from training.prompts import with_additional_words

PERIOD_NS = round(PERIOD * 1e9)
STEPS_PER_TICK = 20  # physics steps
KEPT_AFTER_SUCCESS = 2  # decisions

PREFIX_SHARE = 0.4  # of the frames are labelled with a known prefix
MAX_PREFIX = 8  # steps
ADDITIONAL_WORDS_SHARE = 0.15  # of the prompts
WORDS = frozenset(vocabulary())
BURST_PROBABILITY = 0.35  # of a decision of the noisy expert
BURST = (0.1, 0.45)  # rad/s, range of the amplitudes
FLIP_PROBABILITY = 0.03  # of the gripper, for a few ticks of a decision
CLEAN_SHARE = 0.25  # of the expert's episodes, without noise
WIDE_SHARE = 0.4  # of the episodes start in a pose far from home
CONTINUED_SHARE = 0.25  # of the episodes after a success begin where it ended
WIDE_START = 0.25  # rad
WIDE_START_HEIGHT = 0.16  # m, the least height of the TCP


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Which episodes an environment plays."""

    kinds: tuple[str, ...] = TASKS  # or modules of new tasks
    weights: tuple[float, ...] = (1, 1, 1, 1)  # of the kinds
    policy_share: float = 0.0  # of the episodes; the noisy expert moves the arm in the others
    max_delay: int = 0  # ticks; half of the episodes have no delay, that of the others is uniform in 1 … max_delay
    prefix_share: float = 0.0  # of the policy's episodes with delay: the policy knows the steps until its chunk arrives


class Environment:
    """One simulated arm. After each decision `outcome` is None, "success" or "failure"."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.scene = Scene()
        self._rng = rng
        self.task: Task | NewTask = Task("touch", 0)  # until an episode starts
        self.prompt = ""
        self.by_policy = False
        self.outcome: str | None = None
        self.seed = 0

    def start_training(self, assignment: Assignment) -> None:
        """Starts a random episode."""
        rng = self._rng
        weights = np.array(assignment.weights, dtype=float)
        task = sample_task_of(assignment.kinds[rng.choice(len(weights), p=weights / weights.sum())], rng)
        prompt = sample_prompt_of(task, rng)
        if rng.random() < ADDITIONAL_WORDS_SHARE:
            prompt = with_additional_words(prompt, WORDS, rng)
        delay = int(rng.integers(1, assignment.max_delay + 1)) if rng.random() < 0.5 and assignment.max_delay else 0
        by_policy = bool(rng.random() < assignment.policy_share)
        with_prefix = bool(by_policy and rng.random() < assignment.prefix_share)
        continued = self.outcome == "success" and rng.random() < CONTINUED_SHARE
        if continued and (self.scene.layout.bowl or not needs_bowl(task)):
            layout = None
        else:
            layout = layout_of(seed := int(rng.integers(TRAINING_SEEDS.start, TRAINING_SEEDS.stop)), task)
            self.seed = seed
            if rng.random() < WIDE_SHARE:
                layout = dataclasses.replace(layout, start=wide_start(layout.start, rng))
        self._start(layout, task, prompt, delay, with_prefix)
        self.by_policy = by_policy
        self._noisy = not by_policy and rng.random() > CLEAN_SHARE

    def start_held_out(self, seed: int, kind: str, delay: int, with_prefix: bool) -> None:
        """Starts the episode of a seed that training never uses; the policy moves the arm."""
        if seed not in HELD_OUT_SEEDS:
            raise ValueError(f"Expected a held-out seed, received {seed}")
        rng = np.random.default_rng(seed)
        task = sample_task_of(kind, rng)
        self.seed = seed
        self._start(layout_of(seed, task), task, sample_prompt_of(task, rng), delay, with_prefix)
        self.by_policy, self._noisy = True, False

    def _start(self, layout: Layout | None, task: Task | NewTask, prompt: str, delay: int, with_prefix: bool) -> None:
        """Without a layout the world and the arm stay as they are."""
        self.task, self.prompt = task, prompt
        if layout is not None:
            self.scene.reset(layout)
        self._judge = judge_of(self.scene, task)
        self.outcome = None
        self._time = 0
        self._execution = Execution(delay)
        self._delay, self._with_prefix = delay, with_prefix
        self._after_success = 0

    @property
    def is_over(self) -> bool:
        """The episode was decided, and what follows a success was seen."""
        return self.outcome == "failure" or (self.outcome == "success" and self._after_success >= KEPT_AFTER_SUCCESS)

    def execute(self, chunk: np.ndarray, frames_at: tuple[int, ...]) -> Iterator[None]:
        """Executes the chunk [HORIZON, 8] of this observation until the next; yields after the ticks `frames_at`."""
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

    def policy_prefix(self) -> np.ndarray:
        """[≤ 8, 8]: the steps that are executed before the chunk of this observation arrives, if the policy may know
        them.
        """
        return self._execution.upcoming[: self._delay] if self._with_prefix else np.zeros((0, 8))

    def random_prefix(self) -> np.ndarray:
        """[≤ 8, 8]: for a label: none, or some of the steps that come next."""
        upcoming = self._execution.upcoming
        if len(upcoming) == 0 or self._rng.random() > PREFIX_SHARE:
            return np.zeros((0, 8))
        return upcoming[: int(self._rng.integers(1, min(MAX_PREFIX, len(upcoming)) + 1))]

    def observed_state(self) -> np.ndarray:
        """[8]: joint positions (rad), gripper 0 open … 1 closed."""
        return np.array([*self.scene.joint_positions, 1.0 - self.scene.finger_position / FINGER_OPEN])

    def is_solvable(self) -> bool:
        """The named block, if there is one, is where the arm reaches it."""
        if isinstance(self.task, NewTask):
            return True
        x, y, z = self.scene.block_positions[self.task.block]
        return z > 0 and np.hypot(x, y) < 0.76 and x > 0.2


def wide_start(start: tuple[float, ...], rng: np.random.Generator) -> tuple[float, ...]:
    """A start pose [7] (rad) further from home than the layout's, with the hand above the objects and pointing down."""
    while True:
        q = np.array(start) + rng.normal(0, WIDE_START, 7)
        tcp, frame, _ = hand_frames(q[None])
        if tcp[0, 2] > WIDE_START_HEIGHT and frame[0, 2, 2] < -0.8 and 0.25 < np.hypot(*tcp[0, :2]) < 0.7:
            return tuple(q)


def states_of(environments: list[Environment]) -> ExpertState:
    """The present states of the environments. `kind`, `block` and `onto` mean nothing for new tasks."""
    unused = Task("touch", 0)
    tasks = [unused if isinstance(environment.task, NewTask) else environment.task for environment in environments]
    return expert_state([environment.scene for environment in environments], tasks)


def expert_labels(
    tasks: list[Task | NewTask],
    state: ExpertState,
    prefix: np.ndarray | None = None,
    lengths: np.ndarray | None = None,
) -> np.ndarray:
    """Chunks [n, HORIZON, 8] from n states, each by the expert of its task.

    `prefix` [n, MAX_PREFIX, 8], of which the first `lengths` [n] steps are executed whatever the expert wants; none by
    default.
    """
    n = len(tasks)
    prefix = np.zeros((n, MAX_PREFIX, 8)) if prefix is None else prefix
    lengths = np.zeros(n, int) if lengths is None else lengths
    experts = [task.expert if isinstance(task, NewTask) else expert_chunk for task in tasks]
    labels = np.empty((n, HORIZON, 8))
    for expert in set(experts):
        rows = np.array([each is expert for each in experts])
        part = ExpertState(**{field.name: getattr(state, field.name)[rows] for field in dataclasses.fields(state)})
        labels[rows] = expert(part, prefix[rows], lengths[rows])
    return labels
