"""Executes chunks in process as the policy node does with `configs/demo.yaml`, for training and for runs without ROS.

All modes of the node (src/schedule): the next chunk is wanted after `REPLAN` rows; what it is made to agree with and how it is
merged depends on the mode; no row is executed whose observation is too old; velocity and acceleration limits apply to every
command. Commands are those of the node. Not modelled: the limits on position, which the tasks do not reach, and faults.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sim.expert import FINGER_OPEN, PERIOD, VELOCITY_SCALE

MODES = ("sync", "async", "ensemble", "rtc", "rtc_trained")
REPLAN = 8  # rows of a chunk that are executed before the next one is wanted
MAX_VELOCITY = 1.2  # rad/s
MAX_ACCELERATION = 10.0  # rad/s²
MAX_FINGER_SPEED = 0.1  # m/s
CLOSED_ABOVE = 0.5  # gripper actions above are 1 (closed), others 0 (open)
PERIOD_NS = round(PERIOD * 1e9)
WINDOW = 64  # inferences that count for the estimate of the delay
DECAY = 0.01  # of the weights in mode ensemble


class Chunk(NamedTuple):
    """A chunk as a policy computes it. A policy without a model of its own may return `values` alone."""

    values: np.ndarray  # [horizon, 8] in model units
    actions: np.ndarray  # [horizon, action_dim] normalised, as the engine computed them


@dataclass(frozen=True)
class Continuation:
    """The rest of the plan, with which the next chunk is to agree."""

    mode: str  # "rtc": guided by it; "rtc_trained": its first `delay` rows are known
    previous: np.ndarray  # [n, action_dim] normalised; row 0 belongs to the observation
    delay: int
    execution_horizon: int  # mode rtc: the row from which the chunk is not guided


@dataclass(frozen=True)
class _Plan:
    """A chunk in robot units, and where it belongs."""

    values: np.ndarray  # [horizon, 8] in model units
    velocities: np.ndarray  # [horizon, 7] rad/s
    actions: np.ndarray
    stamp: int  # tick of its observation
    first_step: int  # number of the executed step that row 0 belongs to


class Execution:
    """From chunks to the command of each control tick. Call in each tick, in this order: `wants_observation`, `submit` with the
    chunk of an observation of this tick where one is wanted, `command`."""

    def __init__(
        self,
        delay: int | Callable[[], int] = 0,
        mode: str = "async",
        *,
        assumed_delay: int | None = None,
        trained_max_delay: int = 8,
        max_age: float | None = None,
    ) -> None:
        """`delay`: ticks from an observation to the arrival of its chunk, or a function that returns those of the next chunk.
        `mode`: one of MODES. `assumed_delay`: what the schedule counts with, ticks (`schedule.delay`); None = estimated.
        `trained_max_delay`: of the checkpoint, for mode rtc_trained. `max_age`: `schedule.max_chunk_age`, s; None = the time that a
        chunk covers."""
        if mode not in MODES:
            raise ValueError(f"Expected mode {', '.join(MODES[:-1])} or {MODES[-1]}, received {mode}")
        self._delay = delay if callable(delay) else lambda: delay
        self._mode = mode
        self._assumed_delay = assumed_delay
        self._trained_max_delay = trained_max_delay
        self._max_age = max_age
        self._tick = 0
        self._pending: tuple[int, int, int, Chunk] | None = None  # arrival, stamp, steps executed at the observation, chunk
        self._plan: _Plan | None = None
        self._row = 0
        self._merged: list[_Plan] = []  # with rows left, oldest first
        self._latencies: list[int] = []
        self._executed = 0
        self._velocity = np.zeros(7)
        self._finger = FINGER_OPEN
        self.merges = 0
        """Chunks that have arrived."""
        self.idle = 0
        """Ticks without a row to execute since the first one was executed."""

    @property
    def wants_observation(self) -> bool:
        if self._pending is not None or self._plan is None:
            return self._pending is None
        replan = min(REPLAN, len(self._plan.values))
        # A first chunk begins at its first row however late it arrives, and would be too old before the next one came.
        age = 0 if self._mode == "sync" else self._tick - self._plan.stamp
        return max(self._row, age) >= replan

    @property
    def upcoming(self) -> np.ndarray:
        """The rows [n, 8] of the present chunk that come next, as long as no other chunk arrives."""
        return np.zeros((0, 8)) if self._plan is None else self._plan.values[self._row :]

    @property
    def next_velocities(self) -> np.ndarray:
        """The velocities [n, 7], rad/s, that the plan wants in the next ticks, before the limits."""
        return np.zeros((0, 7)) if self._plan is None else self._plan.velocities[self._row : self._end]

    @property
    def delay(self) -> int:
        """What the schedule counts with, ticks: the p95 without the first chunk, as long as there is another; 0 = not known yet."""
        if self._assumed_delay is not None:
            return self._assumed_delay
        window = sorted(self._latencies[1:][-WINDOW:]) or self._latencies[:1]
        return window[math.ceil(0.95 * len(window)) - 1] if window else 0

    @property
    def continuation(self) -> Continuation | None:
        """What the chunk of this tick's observation is to agree with; None where the mode wants nothing or nothing is left."""
        if self._mode not in ("rtc", "rtc_trained") or self._plan is None:
            return None
        previous = self._plan.actions[self._row :]
        delay = min(self.delay, len(previous))
        if self._mode == "rtc_trained":
            delay = min(delay, self._trained_max_delay)
        if len(previous) == 0 or (self._mode == "rtc_trained" and delay == 0):
            return None
        return Continuation(self._mode, previous, delay, max(len(previous), delay, 1))

    def submit(self, chunk: np.ndarray | Chunk) -> None:
        """`chunk`: inferred from the observation of this tick; [horizon, 8] actions in model units."""
        if not isinstance(chunk, Chunk):
            chunk = Chunk(chunk, chunk)
        self._pending = (self._tick + self._delay(), self._tick, self._executed, chunk)
        self._receive()

    def command(self) -> tuple[np.ndarray, float]:
        """The command of this tick: joint velocities [7] rad/s and finger position, m. Advances to the next tick."""
        wanted = np.zeros(7)
        if self._row < self._end and self._is_stale():
            self._row = len(self._plan.values)
        if self._row < self._end:
            wanted = self._plan.velocities[self._row]
            self._move_finger(0.0 if self._plan.values[self._row, 7] > CLOSED_ABOVE else FINGER_OPEN)
            self._row += 1
            self._executed += 1
        elif self._executed:
            self.idle += 1
        wanted = np.clip(wanted, -MAX_VELOCITY, MAX_VELOCITY)
        step = MAX_ACCELERATION * PERIOD
        self._velocity = np.clip(wanted, self._velocity - step, self._velocity + step)
        self._tick += 1
        self._receive()
        return self._velocity, self._finger

    @property
    def _end(self) -> int:
        """The row at which the plan ends."""
        rows = 0 if self._plan is None else len(self._plan.values)
        return min(REPLAN, rows) if self._mode == "sync" else rows

    def _max_age_ns(self, rows: int) -> int:
        return round((rows * PERIOD if self._max_age is None else self._max_age) * 1e9)

    def _is_stale(self) -> bool:
        return (self._tick - self._plan.stamp) * PERIOD_NS > self._max_age_ns(len(self._plan.values))

    def _receive(self) -> None:
        """Merges the pending chunk, if this is the tick of its arrival."""
        if self._pending is None or self._tick < self._pending[0]:
            return
        _, stamp, executed_before, (values, actions) = self._pending
        self._pending = None
        self.merges += 1
        self._latencies.append(self._tick - stamp)
        executed = self._executed - executed_before
        if self._mode == "sync":
            self._row = 0
        elif self._mode in ("rtc", "rtc_trained"):
            self._row = min(executed, len(values))
        else:
            self._row = min(executed, self.delay, len(values))
        velocities = np.clip(values[:, :7], -1.0, 1.0) * VELOCITY_SCALE
        chunk = _Plan(values, velocities, actions, stamp, self._executed - self._row)
        self._plan = self._ensemble(chunk) if self._mode == "ensemble" else chunk
        kept = [plan for plan in self._merged if plan.first_step + len(plan.values) > self._executed]
        self._merged = [*kept, chunk]

    def _ensemble(self, chunk: _Plan) -> _Plan:
        """The chunk with the weighted mean of all predictions of each row's velocities. The newest chunk decides the gripper."""
        velocities = chunk.velocities.copy()
        max_age = self._max_age_ns(len(velocities))
        for row in range(self._row, len(velocities)):
            ahead = row - self._row
            predictions = []
            for plan in self._merged:
                theirs = self._executed - plan.first_step + ahead
                age = (self._tick - plan.stamp) * PERIOD_NS + round(ahead * PERIOD * 1e9)
                if theirs < len(plan.velocities) and age <= max_age:
                    predictions.append(plan.velocities[theirs])
            predictions.append(chunk.velocities[row])
            weights = [math.exp(-DECAY * i) for i in range(len(predictions))]
            total = np.zeros(7)
            for weight, prediction in zip(weights, predictions, strict=True):
                total = total + weight * prediction
            velocities[row] = total / sum(weights)
        return replace(chunk, velocities=velocities)

    def _move_finger(self, target: float) -> None:
        """Within the speed limit, with the node's rounding."""
        speed = (target - self._finger) / PERIOD
        limited = min(max(speed, -MAX_FINGER_SPEED), MAX_FINGER_SPEED)
        self._finger = target if limited == speed else min(max(self._finger + limited * PERIOD, 0.0), FINGER_OPEN)
