"""How smooth the commanded motion of an episode is. See docs/evaluation.md."""

from collections.abc import Sequence

import numpy as np


def smoothness(velocities: Sequence[np.ndarray], rate: float, full_speed: float) -> dict[str, float] | None:
    """Measures the velocities that were commanded, one row [7] in rad/s a control tick; the arm is at rest before the first.

    `rate`: control ticks per second. `full_speed`: the velocity limit, rad/s. Returns None for fewer than two commands, else

    - `jerk_rms`, `jerk_max`: root mean square and largest magnitude, over all joints and ticks, of the second difference of
      the velocity, v[k+1] − 2 v[k] + v[k−1], times rate²; rad/s³;
    - `step_max`: the largest |v[k] − v[k−1]| of a joint, divided by `full_speed`. 1 is from rest to full speed in one period.
    """
    if len(velocities) < 2:
        return None
    rows = np.vstack([np.zeros(len(velocities[0])), *velocities])
    steps = np.diff(rows, axis=0)
    jerk = np.diff(steps, axis=0) * rate**2
    return {
        "jerk_rms": float(np.sqrt(np.mean(jerk**2))),
        "jerk_max": float(np.abs(jerk).max()),
        "step_max": float(np.abs(steps).max() / full_speed),
    }
