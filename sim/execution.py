"""Executes chunks in process as the policy node does with `configs/demo.yaml`, for training and for runs without ROS.

Modes `async` and `sync` of the node (src/schedule): the next chunk is wanted after `REPLAN` rows; rows whose time has passed
while it was computed are skipped; velocity and acceleration limits apply to every command. Commands are those of the node bit
for bit. Not modelled: the limits on position, which the tasks do not reach, and faults.
"""

import numpy as np

from sim.expert import FINGER_OPEN, PERIOD, VELOCITY_SCALE

REPLAN = 8  # rows of a chunk that are executed before the next one is wanted
MAX_VELOCITY = 1.2  # rad/s
MAX_ACCELERATION = 10.0  # rad/s²
MAX_FINGER_SPEED = 0.1  # m/s
CLOSED_ABOVE = 0.5  # gripper actions above are 1 (closed), others 0 (open)


class Execution:
    """From chunks to the command of each control tick. Call in each tick, in this order: `wants_observation`, `submit` with the
    chunk of an observation of this tick where one is wanted, `command`."""

    def __init__(self, delay: int = 0, mode: str = "async") -> None:
        """`delay`: ticks from an observation to the arrival of its chunk. `mode`: async or sync."""
        if mode not in ("async", "sync"):
            raise ValueError(f"Expected mode async or sync, received {mode}")
        self._delay = delay
        self._sync = mode == "sync"
        self._tick = 0
        self._pending: tuple[int, np.ndarray, int] | None = None  # tick of arrival, chunk, steps executed at the observation
        self._chunk: np.ndarray | None = None
        self._row = 0
        self._executed = 0
        self._velocity = np.zeros(7)
        self._finger = FINGER_OPEN

    @property
    def wants_observation(self) -> bool:
        return self._pending is None and (self._chunk is None or self._row >= REPLAN)

    @property
    def upcoming(self) -> np.ndarray:
        """The rows [n, 8] of the present chunk that come next, as long as no other chunk arrives."""
        return np.zeros((0, 8)) if self._chunk is None else self._chunk[self._row :]

    def submit(self, chunk: np.ndarray) -> None:
        """`chunk` [horizon, 8]: actions in model units, inferred from the observation of this tick."""
        self._pending = (self._tick + self._delay, chunk, self._executed)

    def command(self) -> tuple[np.ndarray, float]:
        """The command of this tick: joint velocities [7] rad/s and finger position, m. Advances to the next tick."""
        if self._pending and self._tick >= self._pending[0]:
            _, self._chunk, executed = self._pending
            self._row = 0 if self._sync else min(self._delay, self._executed - executed, len(self._chunk))
            self._pending = None
        self._tick += 1
        end = 0 if self._chunk is None else REPLAN if self._sync else len(self._chunk)
        wanted = np.zeros(7)
        if self._row < end:
            action = self._chunk[self._row]
            self._row += 1
            self._executed += 1
            wanted = np.clip(action[:7], -1.0, 1.0) * VELOCITY_SCALE
            self._move_finger(0.0 if action[7] > CLOSED_ABOVE else FINGER_OPEN)
        wanted = np.clip(wanted, -MAX_VELOCITY, MAX_VELOCITY)
        step = MAX_ACCELERATION * PERIOD
        self._velocity = np.clip(wanted, self._velocity - step, self._velocity + step)
        return self._velocity, self._finger

    def _move_finger(self, target: float) -> None:
        """Within the speed limit, with the node's rounding."""
        speed = (target - self._finger) / PERIOD
        limited = min(max(speed, -MAX_FINGER_SPEED), MAX_FINGER_SPEED)
        self._finger = target if limited == speed else min(max(self._finger + limited * PERIOD, 0.0), FINGER_OPEN)
