"""Runs an episode with a policy in this process, without ROS and without the node."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from sim.cameras import HEIGHT, WIDTH, Cameras
from sim.control import FINGER_OPEN
from sim.episode import EpisodeRun
from sim.evaluation.controls import Control
from sim.execution import Chunk, Continuation
from sim.scene import Scene

CAMERAS = ("exterior", "wrist")


class Observation:
    """What a policy receives at a control tick. Images are rendered when they are read for the first time."""

    def __init__(
        self, scene: Scene, cameras: Cameras, control: Control, stamp: int, continuation: Continuation | None = None
    ) -> None:
        self.stamp = stamp  # ns
        self.continuation = continuation
        self.prompt = control.prompt
        self._readings = control.change_readings(scene.read())
        self._scene, self._cameras, self._control = scene, cameras, control
        self._images: dict[str, np.ndarray] | None = None

    @property
    def state(self) -> np.ndarray:
        """[8]: joint positions in rad, and the gripper, 0 open … 1 closed."""
        position = self._readings.position
        return np.append(position[:7], (position[7] - FINGER_OPEN) / -FINGER_OPEN)  # with the rounding of the node

    @property
    def images(self) -> dict[str, np.ndarray]:
        """`exterior` and `wrist`, uint8 [480, 640, 3]."""
        if self._images is None:
            self._images = {camera: np.empty((HEIGHT, WIDTH, 3), np.uint8) for camera in CAMERAS}
            self._cameras.render(self._scene.data.qpos, self._images)
            self._control.change_images(self._images)
        return self._images


class Execution(Protocol):
    """From chunks to commands: `sim.execution.Execution`, or another one."""

    @property
    def wants_observation(self) -> bool:
        """Whether a chunk should be inferred from the observation of this tick."""
        ...

    @property
    def continuation(self) -> Continuation | None:
        """What that chunk is to agree with."""
        ...

    def submit(self, chunk: np.ndarray | Chunk) -> None:
        """`chunk` [horizon, 8]: actions in model units."""
        ...

    def command(self) -> tuple[np.ndarray, float]:
        """The command of this tick: joint velocities [7] in rad/s and finger position in m."""
        ...


def run_episode(
    scene: Scene,
    cameras: Cameras,
    control: Control,
    policy: Callable[[Observation], np.ndarray | Chunk],
    execution: Execution,
) -> dict:
    """Runs the episode of `control` and returns its record, with the fields of docs/evaluation.md that do not depend on
    the node.

    `cameras`: of the scene's model. `policy`: infers a chunk [horizon, 8] in model units from an observation.
    """
    run = EpisodeRun(scene, control.episode)
    chunks = 0
    ended = False
    while not ended:
        if execution.wants_observation:
            observation = Observation(scene, cameras, control, run.next_tick, execution.continuation)
            execution.submit(policy(observation))
            chunks += 1
        velocities, finger = execution.command()
        run.velocities.append(np.array(velocities, dtype=float))
        scene.control.set_velocity(velocities, "policy")
        scene.gripper.set_position([finger], "policy")
        ended = run.advance()
    return {"control": control.name, **run.record(control.prompt, chunks)}
