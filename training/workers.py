"""Processes that simulate and render episodes while the GPU trains.

Each worker has several environments. In a round, every environment executes one decision; the worker then returns the
new observations and the frames that were seen, each with the expert's chunk as label. The trainer answers with a chunk
for each environment. The arrays are in shared memory, so a round costs two small messages.
"""

import multiprocessing as mp
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from PIL import Image

from sim.cameras import Cameras
from sim.expert import HORIZON
from sim.kinematics import hand_frames
from training.episodes import MAX_PREFIX, Assignment, Environment, expert_labels, states_of
from training.new_tasks import NewTask

CAMERAS = ("exterior", "wrist")
FRAME_TICKS = (3, 6)  # ticks after an observation at which a frame is recorded, in addition to the observation itself
FRAMES = 1 + len(FRAME_TICKS)  # of an environment and round
AUXILIARY = 11
OVERSAMPLING = 2  # images are rendered this much larger than the policy sees them, and resized as the node does


@dataclass(frozen=True)
class HeldOut:
    """Evaluate the policy on held-out episodes (seed, kind of task), with a delay in ticks."""

    episodes: tuple[tuple[int, str], ...]
    delay: int = 0
    with_prefix: bool = False


@dataclass(frozen=True)
class Outcome:
    kind: str
    seed: int
    prompt: str
    outcome: str
    reason: str
    by_policy: bool


@dataclass(frozen=True)
class Round:
    """What a worker reports after a round."""

    frames: int  # valid rows of the frame arrays
    frame_prompts: list[str]
    prompts: list[str]  # of the observations
    by_policy: list[bool]  # the chunk of the trainer is used for these environments
    outcomes: list[Outcome]
    idle: bool  # all held-out episodes are over


class SharedArrays:
    """The arrays of one worker. `observation_*` have a row per environment, `frame_*` FRAMES rows."""

    def __init__(self, environments: int, size: tuple[int, int]) -> None:
        self._raw: dict[str, tuple] = {}
        image = (len(CAMERAS), size[1], size[0], 3)
        frames = environments * FRAMES
        self._allocate("observation_images", (environments, *image), np.uint8)
        self._allocate("observation_state", (environments, 8), np.float32)
        self._allocate("observation_prefix", (environments, MAX_PREFIX, 8), np.float32)
        self._allocate("observation_delay", (environments,), np.int64)
        self._allocate("frame_delay", (frames,), np.int64)  # steps of the label that were known and executed anyway
        self._allocate("chunks", (environments, HORIZON, 8), np.float32)
        self._allocate("frame_images", (frames, *image), np.uint8)
        self._allocate("frame_state", (frames, 8), np.float32)
        self._allocate("frame_label", (frames, HORIZON, 8), np.float32)
        self._allocate("frame_auxiliary", (frames, AUXILIARY), np.float32)

    def _allocate(self, name: str, shape: tuple[int, ...], dtype: type) -> None:
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._raw[name] = (mp.RawArray("B", count), shape, dtype)

    def views(self) -> dict[str, np.ndarray]:
        return {name: np.frombuffer(raw, dtype).reshape(shape) for name, (raw, shape, dtype) in self._raw.items()}


class Pool:
    """The worker processes. Create it before CUDA is initialised: the processes are forked."""

    def __init__(
        self, workers: int, environments: int, size: tuple[int, int], order: Assignment | HeldOut, seed: int
    ) -> None:
        """`size`: width and height of the resized images. `order`: what each worker does first."""
        context = mp.get_context("fork")
        self.shared = [SharedArrays(environments, size) for _ in range(workers)]
        self.arrays = [shared.views() for shared in self.shared]
        self.pipes: list[Connection] = []
        self.waiting: set[int] = set()  # workers whose report was received and that have no order yet
        self._processes = []
        for index, shared in enumerate(self.shared):
            ours, theirs = context.Pipe()
            arguments = (theirs, shared, environments, size, order, (seed, index))
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self._processes.append(process)

    def ready(self) -> list[int]:
        """The workers that have a round to report."""
        return [index for index, pipe in enumerate(self.pipes) if pipe.poll()]

    def receive(self, index: int) -> Round:
        self.waiting.add(index)
        return self.pipes[index].recv()

    def proceed(self, index: int, order: Assignment | HeldOut | None = None) -> None:
        """Lets a worker start its next round; its `chunks` are filled. `order`: a change of what it does."""
        self.waiting.discard(index)
        self.pipes[index].send(order)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()


def _work(
    pipe: Connection,
    shared: SharedArrays,
    count: int,
    size: tuple[int, int],
    order: Assignment | HeldOut,
    seed: tuple[int, int],
) -> None:
    worker = _Worker(shared.views(), count, size, order, np.random.default_rng(seed))
    while True:
        pipe.send(worker.report())
        try:
            new_order = pipe.recv()
        except EOFError:
            return
        if new_order is not None:
            worker.obey(new_order)
        else:
            worker.play_round()


class _Worker:
    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        count: int,
        size: tuple[int, int],
        order: Assignment | HeldOut,
        rng: np.random.Generator,
    ) -> None:
        self._arrays = arrays
        self._size = size
        self._environments = [Environment(np.random.default_rng(rng.integers(2**63))) for _ in range(count)]
        rendered = (OVERSAMPLING * size[0], OVERSAMPLING * size[1])
        self._cameras = Cameras(self._environments[0].scene.model, rendered)
        self._pictures = {name: np.empty((*rendered[::-1], 3), np.uint8) for name in CAMERAS}
        self._outcomes: list[Outcome] = []
        self._frames = 0
        self._frame_prompts: list[str] = []
        self._held_out: list[tuple[int, str]] | None = None
        self.obey(order)

    def obey(self, order: Assignment | HeldOut) -> None:
        """Starts new episodes in all environments."""
        self._order = order
        self._held_out = list(order.episodes) if isinstance(order, HeldOut) else None
        self._playing = [True] * len(self._environments)
        self._frames, self._frame_prompts, self._outcomes = 0, [], []
        for index in range(len(self._environments)):
            self._start(index)
        self.observe()

    def _start(self, index: int) -> None:
        environment = self._environments[index]
        if isinstance(self._order, Assignment):
            environment.start_training(self._order)
        elif self._held_out:
            environment.start_held_out(*self._held_out.pop(0), self._order.delay, self._order.with_prefix)
        else:
            self._playing[index] = False

    def observe(self) -> None:
        """Renders the present observations and asks the experts for their chunks."""
        self._labels = expert_labels([each.task for each in self._environments], states_of(self._environments))
        for index, environment in enumerate(self._environments):
            if self._playing[index]:
                self._render(environment, self._arrays["observation_images"][index])
                self._arrays["observation_state"][index] = environment.observed_state()
                prefix = environment.policy_prefix()
                self._arrays["observation_delay"][index] = len(prefix)
                self._arrays["observation_prefix"][index, : len(prefix)] = prefix

    def report(self) -> Round:
        outcomes, self._outcomes = self._outcomes, []
        return Round(
            self._frames,
            self._frame_prompts,
            [environment.prompt for environment in self._environments],
            [environment.by_policy for environment in self._environments],
            outcomes,
            not any(self._playing),
        )

    def play_round(self) -> None:
        arrays, environments = self._arrays, self._environments
        self._frames, self._frame_prompts = 0, []
        recording = self._held_out is None
        tasks, states, prefixes = [], [], []
        for index, environment in enumerate(environments):
            if not self._playing[index]:
                continue

            def record(images: np.ndarray | None, environment: Environment = environment) -> None:
                if recording and environment.is_solvable():
                    self._record(environment, images)
                    tasks.append(environment.task)
                    states.append(states_of([environment]))
                    prefixes.append(environment.random_prefix())

            record(arrays["observation_images"][index])
            chunk = arrays["chunks"][index] if environment.by_policy else self._labels[index]
            for _ in environment.execute(chunk.astype(float), FRAME_TICKS):
                record(None)
            if environment.is_over or (environment.outcome is not None and not recording):
                task = environment.task
                self._outcomes.append(
                    Outcome(
                        task.kind,
                        environment.seed,
                        environment.prompt,
                        environment.outcome or "",
                        environment.reason,
                        environment.by_policy,
                    )
                )
                self._start(index)
        if states:
            lengths = np.array([len(prefix) for prefix in prefixes])
            padded = np.zeros((len(prefixes), MAX_PREFIX, 8))
            for row, prefix in enumerate(prefixes):
                padded[row, : len(prefix)] = prefix
            arrays["frame_label"][: len(states)] = expert_labels(tasks, _concatenate(states), padded, lengths)
            arrays["frame_delay"][: len(states)] = lengths
        self.observe()

    def _record(self, environment: Environment, images: np.ndarray | None) -> None:
        """Adds a frame of the present state. Renders it if no images are given."""
        row, arrays = self._frames, self._arrays
        self._frames += 1
        self._frame_prompts.append(environment.prompt)
        if images is None:
            self._render(environment, arrays["frame_images"][row])
        else:
            arrays["frame_images"][row] = images
        arrays["frame_state"][row] = environment.observed_state()
        arrays["frame_auxiliary"][row] = auxiliary(environment)

    def _render(self, environment: Environment, out: np.ndarray) -> None:
        """Both cameras, resized by Pillow; `out` [cameras, height, width, 3]."""
        scene = environment.scene
        self._cameras.render(scene.data.qpos, self._pictures, scene.model)
        for camera, name in enumerate(CAMERAS):
            out[camera] = Image.fromarray(self._pictures[name]).resize(self._size, Image.Resampling.BILINEAR)


def auxiliary(environment: Environment) -> np.ndarray:
    """What the auxiliary loss predicts, [AUXILIARY]; NaN for new tasks.

    The named block (3) and its destination (3) relative to the TCP in units of 0.1 m, the yaw of the block relative to
    the hand as sine and cosine of four times it, finger position, height of the block, and whether it was touched.
    """
    if isinstance(environment.task, NewTask):
        return np.full(AUXILIARY, np.nan)
    scene, task = environment.scene, environment.task
    state = states_of([environment])
    tcp, frame, _ = hand_frames(state.q)
    block = state.blocks[0, task.block]
    place = {"bowl": state.bowl[0], "stack": state.blocks[0, task.onto or 0]}.get(task.kind, block)
    yaw = 4 * (state.yaws[0, task.block] - np.arctan2(frame[0, 1, 0], frame[0, 0, 0]))
    rest = [np.sin(yaw), np.cos(yaw), scene.finger_position * 25, block[2] * 10, float(task.block in scene.touched)]
    return np.array([*(block - tcp[0]) * 10, *(place - tcp[0]) * 10, *rest])


def _concatenate(states: list):
    fields = states[0].__dataclass_fields__
    return type(states[0])(**{name: np.concatenate([getattr(state, name) for state in states]) for name in fields})
