"""The seams of an execution, as the node measures them (src/schedule/seam.ts)."""

import numpy as np

from sim.execution import MAX_ACCELERATION, MAX_VELOCITY, Chunk, Continuation, Execution
from sim.expert import PERIOD


class SeamMeter:
    """Call `before_command` and `after_command` around each `Execution.command`."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._merges = 0
        self._velocities = [np.zeros(7), np.zeros(7)]  # the last two, newest last
        self.jumps: list[float] = []
        self._jerks: list[np.ndarray] = []

    def before_command(self) -> None:
        """Measures the jump, if the next command is the first step of a new chunk."""
        rows = self._execution.next_velocities
        if self._execution.merges == self._merges or len(rows) == 0:
            return
        if self._merges:  # the arm is at rest before the first chunk
            change = np.clip(rows[0], -MAX_VELOCITY, MAX_VELOCITY) - self._velocities[-1]
            self.jumps.append(float(np.abs(change).max() / (MAX_ACCELERATION * PERIOD)))
        self._merges = self._execution.merges

    def after_command(self, velocities: np.ndarray) -> None:
        """`velocities` [7] rad/s: the command."""
        before, last = self._velocities
        self._jerks.append((velocities - 2 * last + before) / PERIOD**2)
        self._velocities = [last, velocities]

    def result(self) -> dict[str, float]:
        """`jump_max`; `jerk_rms` and `jerk_max`, rad/s³; `idle`: the share of the ticks with nothing new."""
        jerks = np.array(self._jerks)
        return {
            "jump_max": max(self.jumps, default=0.0),
            "jerk_rms": float(np.sqrt(np.mean(jerks**2))),
            "jerk_max": float(np.abs(jerks).max()),
            "idle": self._execution.idle / len(jerks),
        }


class MeasuredExecution:
    """An execution for `sim.rollout.run_episode`, with its seams in `meter`."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self.meter = SeamMeter(execution)

    @property
    def wants_observation(self) -> bool:
        return self._execution.wants_observation

    @property
    def continuation(self) -> Continuation | None:
        return self._execution.continuation

    def submit(self, chunk: np.ndarray | Chunk) -> None:
        self._execution.submit(chunk)

    def command(self) -> tuple[np.ndarray, float]:
        self.meter.before_command()
        velocities, finger = self._execution.command()
        self.meter.after_command(velocities)
        return velocities, finger
