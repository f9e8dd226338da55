"""Controls: changes of what the policy receives. A policy that uses an input must do worse when it is wrong.

All are made in the simulator, with valid stamps, so that the policy node accepts every message.
"""

from dataclasses import replace

import numpy as np

from sim.arm import JointReadings
from sim.control import FINGER_OPEN
from sim.episode import Episode
from sim.tasks import COLOURS, Task, sample_prompt

SHUFFLE_STREAM, PIXEL_STREAM = 3, 4  # random numbers from the layout seed, as in sim/episode.py
FINGERS = slice(7, 9)


class Control:
    """The plain run: nothing is changed. One object serves one episode."""

    name = "none"
    change = "nothing"

    def __init__(self, episode: Episode) -> None:
        self.episode = episode

    @property
    def prompt(self) -> str:
        """The prompt that the policy receives."""
        return self.episode.prompt

    def change_images(self, images: dict[str, np.ndarray]) -> None:
        """Changes the images (uint8 [h, w, 3] of `exterior` and `wrist`) in place before they are published."""

    def change_readings(self, readings: JointReadings) -> JointReadings:
        """The joint states to publish."""
        return readings


class PromptsShuffled(Control):
    name = "prompts-shuffled"
    change = "the prompt names another block"

    @property
    def prompt(self) -> str:
        rng = np.random.default_rng((self.episode.layout_seed, SHUFFLE_STREAM))
        return sample_prompt(other_task(self.episode.task, rng), rng)


class CamerasSwapped(Control):
    name = "cameras-swapped"
    change = "the images of the two cameras are exchanged"

    def change_images(self, images: dict[str, np.ndarray]) -> None:
        exterior = images["exterior"].copy()
        images["exterior"][:] = images["wrist"]
        images["wrist"][:] = exterior


class WristFrozen(Control):
    name = "wrist-frozen"
    change = "the wrist camera repeats its first image, with new stamps"

    def __init__(self, episode: Episode) -> None:
        super().__init__(episode)
        self._first: np.ndarray | None = None

    def change_images(self, images: dict[str, np.ndarray]) -> None:
        if self._first is None:
            self._first = images["wrist"].copy()
        images["wrist"][:] = self._first


class ExteriorTwice(Control):
    name = "exterior-twice"
    change = "the wrist camera shows the exterior image, with noise of ±1"

    def __init__(self, episode: Episode) -> None:
        super().__init__(episode)
        self._rng = np.random.default_rng((episode.layout_seed, PIXEL_STREAM))

    def change_images(self, images: dict[str, np.ndarray]) -> None:
        exterior = images["exterior"]
        noise = self._rng.integers(-1, 2, exterior.shape, dtype=np.int16)
        images["wrist"][:] = np.clip(exterior + noise, 0, 255)


class GripperOpen(Control):
    name = "gripper-open"
    change = "the gripper is always reported as open, model value 0"

    def change_readings(self, readings: JointReadings) -> JointReadings:
        position, velocity = readings.position.copy(), readings.velocity.copy()
        position[FINGERS], velocity[FINGERS] = FINGER_OPEN, 0.0
        return replace(readings, position=position, velocity=velocity)


CONTROLS = {
    control.name: control
    for control in (Control, PromptsShuffled, CamerasSwapped, WristFrozen, ExteriorTwice, GripperOpen)
}
"""By name; `none` is the plain run."""


def other_task(task: Task, rng: np.random.Generator) -> Task:
    """A task of the same kind for another block. In a stack task the two blocks differ as always."""
    blocks = range(len(COLOURS))
    block = int(rng.choice([index for index in blocks if index != task.block]))
    if task.onto is None:
        return replace(task, block=block)
    return replace(task, block=block, onto=int(rng.choice([index for index in blocks if index != block])))
