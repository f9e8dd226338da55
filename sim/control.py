"""What ros2_control's controllers do with a command: from messages to a joint reference. Pure; time is passed in, ns."""

from collections.abc import Sequence

import numpy as np

from sim.description.robot import JOINTS
from sim.failure import Rejected

LEAD = 0.1
"""A reference never runs further ahead of a blocked joint than this, rad."""

MAX_VELOCITY = np.array([joint.velocity for joint in JOINTS if joint.kind == "revolute"])
"""The Panda's joint velocity limits, rad/s."""

FINGER_SPEED = next(joint.velocity for joint in JOINTS if joint.kind == "prismatic")
"""m/s"""


def checked(values: Sequence[float], count: int, topic: str) -> np.ndarray:
    """`count` finite numbers, or Rejected."""
    if len(values) != count:
        raise Rejected(f"Expected {count} values, received {len(values)} from {topic}")
    array = np.array(values, dtype=float)
    if not np.isfinite(array).all():
        raise Rejected(f"Expected finite values, received {array.tolist()} from {topic}")
    return array


class ArmControl:
    """The arm's reference: a velocity that lasts until the next command (forward_command_controller) or a trajectory of
    positions, linear between points and held at its end (joint_trajectory_controller). The newest command decides."""

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
        """7 velocities, rad/s, in joint order."""
        self._velocity = checked(values, len(self._joints), topic)

    def set_trajectory(
        self, now: int, stamp: int, names: Sequence[str], points: Sequence[tuple[int, Sequence[float]]], topic: str
    ) -> None:
        """Points of (time from start, ns; positions, rad, in the order of `names`); they start at `stamp`, or now if it is 0."""
        if sorted(names) != sorted(self._joints):
            raise Rejected(f"Expected the joints {', '.join(self._joints)}, received {', '.join(names) or 'none'} from {topic}")
        if not points:
            raise Rejected(f"Expected at least 1 point, received 0 from {topic}")
        order = [list(names).index(joint) for joint in self._joints]
        positions = np.array([checked(values, len(order), topic)[order] for _, values in points])
        times = np.array([time for time, _ in points], dtype=np.int64) + ((stamp or now) - now)
        if (np.diff(times) <= 0).any():
            raise Rejected(f"Expected time_from_start to rise from point to point, received otherwise from {topic}")
        if times[-1] < 0:
            ago = f"{-times[-1] / 1e9:.3f} s ago"
            raise Rejected(f"Expected a trajectory that ends in the future, received one that ended {ago} from {topic}")
        ahead = times > 0
        self._velocity = None
        self._origin = now
        if ahead.any():
            self._times = np.concatenate([[0], times[ahead]])
            self._points = np.concatenate([self.reference[None], positions[ahead]])
        else:
            self._times, self._points = times[-1:], positions[-1:]

    def advance(self, now: int, dt: float, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The reference `dt` seconds on, at time `now`: positions [7] rad and velocities [7] rad/s, inside the arm's limits."""
        if self._velocity is not None:
            wanted = self.reference + self._velocity * dt
        else:
            at = now - self._origin
            wanted = np.array([np.interp(at, self._times, column) for column in self._points.T])
        before = self.reference
        step = np.clip(wanted - before, -MAX_VELOCITY * dt, MAX_VELOCITY * dt)
        after = np.clip(before + step, measured - LEAD, measured + LEAD)
        self.reference = np.clip(after, self._lower, self._upper)
        return self.reference, (self.reference - before) / dt


class GripperControl:
    """The fingers' reference, m, 0 closed; moves at the gripper's speed and keeps its last command."""

    def __init__(self, lower: float, upper: float, start: float) -> None:
        self._lower = lower
        self._upper = upper
        self._wanted = start
        self.reference = start

    def set(self, values: Sequence[float], topic: str) -> None:
        """1 finger position, m."""
        self._wanted = float(np.clip(checked(values, 1, topic)[0], self._lower, self._upper))

    def advance(self, dt: float) -> float:
        """The reference `dt` seconds on, m."""
        self.reference += float(np.clip(self._wanted - self.reference, -FINGER_SPEED * dt, FINGER_SPEED * dt))
        return self.reference
