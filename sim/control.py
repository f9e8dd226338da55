"""The controllers that ros2_control would run: from command messages to joint references.

No ROS and no clock here: times are passed in, as integers in ns.
"""

from collections.abc import Sequence

import numpy as np

from sim.description.robot import JOINTS
from sim.errors import CommandRejected

MAX_LEAD = 0.1
"""How far the reference may be ahead of the measured joint, rad. Limits the wind-up of a blocked joint."""

MAX_VELOCITY = np.array([joint.velocity for joint in JOINTS if joint.kind == "revolute"])
"""The joint velocity limits of the Panda, [7] rad/s."""

FINGER_SPEED = next(joint.velocity for joint in JOINTS if joint.kind == "prismatic")
"""The velocity limit of the fingers, m/s."""

FINGER_OPEN = next(joint.upper for joint in JOINTS if joint.kind == "prismatic")
"""The position of an open finger, m; 0 is closed."""


def checked_values(values: Sequence[float], count: int, topic: str) -> np.ndarray:
    """The values as an array [count]. Raises CommandRejected if the number differs or a value is not finite."""
    if len(values) != count:
        raise CommandRejected(f"Expected {count} values, received {len(values)} from {topic}")
    array = np.array(values, dtype=float)
    if not np.isfinite(array).all():
        raise CommandRejected(f"Expected finite values, received {array.tolist()} from {topic}")
    return array


def clipped(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """As np.clip, which takes four times as long for a few values."""
    return np.minimum(np.maximum(values, lower), upper)


class ArmController:
    """The reference of the arm joints. The newest command decides which controller is active:

    - a velocity, which lasts until the next command, as in forward_command_controller;
    - a trajectory of positions, linear between its points and held at its end, as in joint_trajectory_controller.
    """

    def __init__(self, joints: Sequence[str], lower: np.ndarray, upper: np.ndarray, start: np.ndarray) -> None:
        self._joints = tuple(joints)
        self._lower = lower
        self._upper = upper
        self._velocity: np.ndarray | None = None  # [7] rad/s while velocity-controlled
        self._times = np.zeros(1)  # [points] ns, relative to `_origin`
        self._points = start[None].copy()  # [points, 7] rad
        self._origin = 0
        self.reference = start.copy()  # [7] rad

    def set_velocity(self, values: Sequence[float], topic: str) -> None:
        """`values`: 7 velocities in joint order, rad/s. Raises CommandRejected."""
        self._velocity = checked_values(values, len(self._joints), topic)

    def set_trajectory(
        self, now: int, stamp: int, names: Sequence[str], points: Sequence[tuple[int, Sequence[float]]], topic: str
    ) -> None:
        """Follows `points`: pairs of time from start (ns) and positions (rad, in the order of `names`).

        Time counts from `stamp` (ns), or from `now` if the stamp is 0. Raises CommandRejected.
        """
        if sorted(names) != sorted(self._joints):
            received = ", ".join(names) or "none"
            raise CommandRejected(f"Expected the joints {', '.join(self._joints)}, received {received} from {topic}")
        if not points:
            raise CommandRejected(f"Expected at least 1 point, received 0 from {topic}")
        order = [list(names).index(joint) for joint in self._joints]
        positions = np.array([checked_values(values, len(order), topic)[order] for _, values in points])
        times = np.array([time for time, _ in points], dtype=np.int64) + ((stamp or now) - now)
        if (np.diff(times) <= 0).any():
            raise CommandRejected(f"Expected time_from_start to rise from point to point, received otherwise from {topic}")
        if times[-1] < 0:
            ago = f"{-times[-1] / 1e9:.3f} s ago"
            raise CommandRejected(f"Expected a trajectory that ends in the future, received one that ended {ago} from {topic}")
        future = times > 0
        self._velocity = None
        self._origin = now
        if future.any():
            self._times = np.concatenate([[0], times[future]])
            self._points = np.concatenate([self.reference[None], positions[future]])
        else:
            self._times, self._points = times[-1:], positions[-1:]

    def advance(self, now: int, dt: float, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advances the reference by `dt` s to time `now` (ns) within the limits of the arm.

        `measured`: joint positions [7], rad. Returns positions [7] rad and velocities [7] rad/s.
        """
        if self._velocity is not None:
            target = self.reference + self._velocity * dt
        else:
            elapsed = now - self._origin
            target = np.array([np.interp(elapsed, self._times, column) for column in self._points.T])
        previous = self.reference
        limit = MAX_VELOCITY * dt
        reached = previous + clipped(target - previous, -limit, limit)
        reached = clipped(reached, measured - MAX_LEAD, measured + MAX_LEAD)
        self.reference = clipped(reached, self._lower, self._upper)
        return self.reference, (self.reference - previous) / dt


class GripperController:
    """The reference of the fingers, m (0 = closed). Moves at FINGER_SPEED and keeps the last command."""

    def __init__(self, lower: float, upper: float, start: float) -> None:
        self._lower = lower
        self._upper = upper
        self._target = start
        self.reference = start

    def set_position(self, values: Sequence[float], topic: str) -> None:
        """`values`: 1 finger position, m. Raises CommandRejected."""
        self._target = float(np.clip(checked_values(values, 1, topic)[0], self._lower, self._upper))

    def advance(self, dt: float) -> float:
        """Advances the reference by `dt` s and returns it, m."""
        limit = FINGER_SPEED * dt
        self.reference += min(max(self._target - self.reference, -limit), limit)
        return self.reference
