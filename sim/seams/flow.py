"""A policy that can be computed by hand: the exact flow of a mixture of normal distributions, with both kinds of real-time chunking.

A chunk is one of several ways to do the task, each a normal distribution about a plan. A policy that was trained on demonstrations
is like that: two inferences may choose different ways, which is what makes seams. Time runs from 1 (noise) to 0 (actions), as in
openpi: x_t = t · noise + (1 − t) · actions, velocity = noise − actions. H rows, A values of a row.
"""

import math
from collections.abc import Callable

import numpy as np

from sim.execution import Chunk, Continuation

STEPS = 10  # flow steps
SPREAD = 0.01  # standard deviation about a plan, in the units of the actions
MAX_WEIGHT = 10.0  # of the guidance, as `schedule.rtc.max_weight`

Plans = Callable[[np.ndarray], np.ndarray]
"""From known first rows [d, A] of a chunk, which may be none, to the plans [ways, H, A] that begin with them."""


def sample(plans: Plans, noise: np.ndarray, continuation: Continuation | None) -> np.ndarray:
    """A chunk [H, A] from standard normal `noise` [H, A], by Euler steps."""
    rows = len(noise)
    trained = continuation is not None and continuation.mode == "rtc_trained"
    known = continuation.previous[: continuation.delay] if trained else noise[:0]
    means = plans(known)
    d = len(known)
    prior = -((known - means[:, :d]) ** 2).sum((1, 2)) / (2 * SPREAD**2)  # how probable the known rows are in each way
    x = noise.copy()
    for step in range(STEPS):
        t = 1.0 - step / STEPS
        x[:d] = known
        velocity = (x - expected(x[d:], means[:, d:], prior, t, x)) / t
        if continuation is not None and continuation.mode == "rtc":
            velocity -= guidance(x - t * velocity, continuation, t, rows)
        x = x - velocity / STEPS
    x[:d] = known
    return x


def expected(free: np.ndarray, means: np.ndarray, prior: np.ndarray, t: float, x: np.ndarray) -> np.ndarray:
    """E[actions | x_t] [H, A]: of the rows that are `free` by the mixture, of the known ones what they are."""
    variance = t**2 + (1 - t) ** 2 * SPREAD**2
    difference = free - (1 - t) * means
    logarithms = prior - (difference**2).sum((1, 2)) / (2 * variance)
    weights = np.exp(logarithms - logarithms.max())
    each = means + (1 - t) * SPREAD**2 / variance * difference
    result = x.copy()
    result[len(x) - len(free) :] = np.einsum("w,wha->ha", weights / weights.sum(), each)
    return result


def guidance(actions: np.ndarray, continuation: Continuation, t: float, rows: int) -> np.ndarray:
    """What the guidance changes in the velocity [H, A]: as the engine computes it (native/model)."""
    previous = np.zeros_like(actions)
    previous[: len(continuation.previous)] = continuation.previous
    end = min(continuation.execution_horizon, len(continuation.previous))
    weights = exponential_weights(continuation.delay, end, rows)[:, None]
    tau = 1.0 - t
    factor = MAX_WEIGHT if tau == 0.0 else min(MAX_WEIGHT, t / tau * (tau**2 + t**2) / t**2)
    return factor * weights * (previous - actions)


def exponential_weights(start: int, end: int, rows: int) -> np.ndarray:
    """The weights [rows]: 1 before `start`, 0 from `end` on, `schedule.rtc.schedule: exp` between them."""
    start = min(start, end)
    i = np.arange(rows)
    ramp = np.clip((start - 1 - i) / (end - start + 1) + 1, 0, 1)
    return np.where(i < end, ramp * np.expm1(ramp) / (math.e - 1), 0.0)


def chunk_of(plans: Plans, gripper: np.ndarray, stamp: int, seed: int, continuation: Continuation | None) -> Chunk:
    """The chunk of an observation: arm actions by the flow, with noise from `seed` and `stamp`; `gripper` [H] is added."""
    rows = len(gripper)
    actions = sample(plans, np.random.default_rng((seed, stamp)).normal(size=(rows, 7)), continuation)
    return Chunk(np.column_stack([actions, gripper]), actions)
