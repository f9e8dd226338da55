"""Decides whether a task was done, by the physics of the scene."""

import numpy as np

from sim.description.bowl import HEIGHT
from sim.scene import BLOCKS, BOWL, SURFACE, Scene
from sim.tasks import TIME_LIMITS, Task

MOVED = 0.03  # m; the task fails if another object moves further
LIFTED = 0.05  # m above the resting height
HOLD_TICKS = 5  # control ticks for which a block must be lifted, or at rest
REST_SPEED = 0.02  # m/s
REST_ANGULAR_SPEED = 0.3  # rad/s
OPEN = 0.03  # m; the gripper is open if the finger position is larger
AWAY = 0.06  # m; the gripper is away if the tool centre point is further from the centre of the block
STACK_TOLERANCE = 0.008  # m, how far the centre may be from its height on the other block
UPRIGHT = 0.95  # the least cosine of the bowl's tilt
FALLEN = -0.05  # m; a block below this height has fallen off the table


class Judge:
    """Judges one attempt at a task, which begins with the construction.

    `outcome` is None until the task succeeds or fails; it does not change afterwards. `reason` is "" until then, and one of
    "done", "time limit", "touched the X block first", "moved OBJECT", "the block fell off the table".
    """

    def __init__(self, scene: Scene, task: Task, time_limit: int | None = None) -> None:
        """`time_limit`: in control ticks; that of the task by default."""
        self.task = task
        self.time_limit = time_limit or TIME_LIMITS[task.kind]
        self.outcome: str | None = None
        self.reason = ""
        self.ticks = 0
        self._scene = scene
        self._block = BLOCKS[task.block]
        self._onto = None if task.onto is None else BLOCKS[task.onto]
        self._half_size = scene.block_half_sizes[task.block]
        self._others = {name: scene.position(name) for name in scene.objects if name != self._block}
        self._resting_height = scene.position(self._block)[2]
        self._held_ticks = 0
        scene.clear_touched()

    @property
    def first_touched(self) -> int | None:
        """The index of the block that the hand or a finger touched first; None if it touched none."""
        return self._scene.touched[0] if self._scene.touched else None

    def update(self) -> str | None:
        """Call it after each control tick. Returns None, "success" or "failure"."""
        if self.outcome:
            return self.outcome
        self.ticks += 1
        failure = self._failure()
        if failure:
            return self._decide("failure", failure)
        self._held_ticks = self._held_ticks + 1 if self._is_done() else 0
        if self._held_ticks >= (1 if self.task.kind == "touch" else HOLD_TICKS):
            return self._decide("success", "done")
        if self.ticks >= self.time_limit:
            return self._decide("failure", "time limit")
        return None

    def _decide(self, outcome: str, reason: str) -> str:
        self.outcome, self.reason = outcome, reason
        return outcome

    def _failure(self) -> str:
        """Why the task has failed, or ""."""
        scene = self._scene
        for name, start in self._others.items():
            if np.linalg.norm(scene.position(name) - start) > MOVED:
                return f"moved {name}"
        if scene.position(self._block)[2] < FALLEN:
            return "the block fell off the table"
        if self.task.kind == "touch" and self.first_touched not in (None, self.task.block):
            return f"touched {BLOCKS[self.first_touched]} first"
        return ""

    def _is_done(self) -> bool:
        """Whether the goal holds at this tick."""
        scene = self._scene
        position = scene.position(self._block)
        if self.task.kind == "touch":
            return self.first_touched == self.task.block
        if self.task.kind == "pick":
            return position[2] >= self._resting_height + LIFTED
        return self._is_released(position) and (
            self._is_in_bowl(position) if self.task.kind == "bowl" else self._is_stacked()
        )

    def _is_released(self, position: np.ndarray) -> bool:
        """Whether the block is at rest, and the gripper is open and away."""
        scene = self._scene
        velocity = scene.velocity(self._block)
        at_rest = np.linalg.norm(velocity[:3]) < REST_SPEED and np.linalg.norm(velocity[3:]) < REST_ANGULAR_SPEED
        away = np.linalg.norm(scene.tcp_position - position) >= AWAY
        return bool(at_rest and away and scene.finger_position > OPEN)

    def _is_in_bowl(self, position: np.ndarray) -> bool:
        """Whether the block is supported by the upright bowl alone and its centre is below the rim."""
        scene = self._scene
        axis = rotated_z(scene.quat(BOWL))
        inside = axis[2] > UPRIGHT and axis @ (position - scene.bowl_position) < HEIGHT
        return bool(inside and scene.touching(self._block) == {BOWL})

    def _is_stacked(self) -> bool:
        """Whether the block is supported by the other block alone, which lies on the table."""
        scene = self._scene
        position, base = scene.position(self._block), scene.position(self._onto)
        base_half_size = scene.block_half_sizes[self.task.onto]
        expected = base_half_size + self._half_size
        flat = abs(position[2] - base[2] - expected) < STACK_TOLERANCE
        on_table = abs(base[2] - SURFACE - base_half_size) < STACK_TOLERANCE
        return bool(flat and on_table and scene.touching(self._block) == {self._onto})


def rotated_z(quat: np.ndarray) -> np.ndarray:
    """The z axis [3] of a frame with the orientation `quat` (w, x, y, z)."""
    w, x, y, z = quat
    return np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
