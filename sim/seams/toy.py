"""The toy plant: seven joints that follow velocity commands with a lag, and a policy that follows a path in one of two ways.

Deterministic, and takes seconds. The path is a sine of each joint; the two ways are to the left and to the right of it.
"""

import numpy as np

from sim.execution import PERIOD_NS
from sim.expert import HORIZON, PERIOD, VELOCITY_SCALE
from sim.seams.conditions import Condition
from sim.seams.flow import chunk_of
from sim.seams.measure import SeamMeter

SECONDS = 20
LAG = 0.1  # s, time constant of the joints
GAIN = 2.0  # 1/s, from the distance to the path to velocity
WAY = 0.04  # rad, distance of each way from the path
AMPLITUDES = np.linspace(0.2, 0.5, 7)  # rad
RATES = np.linspace(0.8, 1.6, 7)  # rad/s
PHASES = np.linspace(0.0, 2.0, 7)
SUBSTEPS = 20


def path(time: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions [7] rad and velocities [7] rad/s of the path."""
    angle = RATES * time + PHASES
    return AMPLITUDES * np.sin(angle), AMPLITUDES * RATES * np.cos(angle)


def plans_from(position: np.ndarray, time: float, known: np.ndarray) -> np.ndarray:
    """The plans [2, HORIZON, 7] in action units of both ways, from `position` [7] at `time`, after the `known` rows."""
    plans = np.empty((2, HORIZON, 7))
    for way, side in enumerate((-WAY, WAY)):
        q = position.copy()
        for row in range(HORIZON):
            target, velocity = path(time + row * PERIOD)
            wanted = velocity + GAIN * (target + side - q)
            plans[way, row] = known[row] if row < len(known) else wanted / VELOCITY_SCALE
            q = q + plans[way, row] * VELOCITY_SCALE * PERIOD
    return plans


def run(condition: Condition, seed: int) -> dict:
    """One run. `tracking` is the root mean square of the distance of each joint from the nearer way, rad; always a success."""
    tick = 0
    execution = condition.execution(lambda: tick * PERIOD_NS)
    meter = SeamMeter(execution)
    position, velocity = path(0.0)[0], np.zeros(7)
    errors = []
    for tick in range(round(SECONDS / PERIOD)):
        time = tick * PERIOD
        errors.append(np.maximum(0.0, np.abs(position - path(time)[0]) - WAY))
        if execution.wants_observation:
            q = position
            execution.submit(
                chunk_of(
                    lambda known, q=q, time=time: plans_from(q, time, known),
                    np.zeros(HORIZON),
                    tick * PERIOD_NS,
                    seed,
                    execution.continuation,
                )
            )
        meter.before_command()
        command, _ = execution.command()
        meter.after_command(command)
        for _ in range(SUBSTEPS):
            velocity = velocity + (command - velocity) / LAG * (PERIOD / SUBSTEPS)
            position = position + velocity * (PERIOD / SUBSTEPS)
    tail = np.array(errors)[15:]  # the first chunk has to arrive
    return {**meter.result(), "tracking": float(np.sqrt(np.mean(tail**2))), "success": True}
