"""Flow matching: training loss, Euler sampling, and both kinds of real-time chunking.

Time runs from 1 (noise) to 0 (actions): x_t = t * noise + (1 - t) * actions, velocity u = noise - actions.
B observations, R flow draws per observation, H action rows, A action dimensions.
"""

import dataclasses
import math

import torch
from torch import Tensor

from training.model import Pi05, PrefixCache


@dataclasses.dataclass
class Draws:
    """The random numbers of one training step."""

    noise: Tensor  # [B, R, H, A]
    times: Tensor  # [B, R]
    delays: Tensor  # int64 [B, R]: the number of rows at the start of the chunk that are known


def draw(
    actions: Tensor,
    draws: int,
    max_delay: int = 0,
    delay_probability: float = 0.0,
    generator: torch.Generator | None = None,
) -> Draws:
    """Random numbers for `actions` [B, H, A]: t ~ Beta(1.5, 1) * 0.999 + 0.001; delays uniform in 0 … `max_delay` with
    `delay_probability`, else 0."""
    batch, horizon, dim = actions.shape
    options = {"device": actions.device, "generator": generator}
    noise = torch.randn(batch, draws, horizon, dim, **options)
    # The distribution function of Beta(1.5, 1) is t^1.5.
    times = torch.rand(batch, draws, **options) ** (1 / 1.5) * 0.999 + 0.001
    delays = torch.randint(0, max_delay + 1, (batch, draws), **options)
    delays = torch.where(torch.rand(batch, draws, **options) < delay_probability, delays, 0)
    return Draws(noise, times, delays)


def flow_loss(model: Pi05, cache: PrefixCache, actions: Tensor, draws: Draws) -> Tensor:
    """Mean squared error of the velocity over all rows that are not known, for normalised `actions` [B, H, A]."""
    known = torch.arange(actions.shape[1], device=actions.device) < draws.delays[..., None]  # [B, R, H]
    actions = actions[:, None]
    times = draws.times[..., None, None]
    x = times * draws.noise + (1.0 - times) * actions
    x = torch.where(known[..., None], actions, x)
    error = (model.velocity(cache, x, draws.times, known) - (draws.noise - actions)).square().mean(-1)
    weights = (~known).float()
    return (error * weights).sum() / weights.sum()


def flow_times(steps: int, family: str = "openpi") -> list[float]:
    """The time of each Euler step. openpi accumulates in float32; LeRobot computes each in double and rounds it."""
    if family == "lerobot":
        return [torch.tensor(1.0 + step * (-1.0 / steps), dtype=torch.float32).item() for step in range(steps)]
    times = [torch.tensor(1.0)]
    for _ in range(steps - 1):
        times.append(times[-1] + torch.tensor(-1.0 / steps))
    return [time.item() for time in times]


@dataclasses.dataclass
class TrainedPrefix:
    """Real-time chunking by a known prefix: the first `delays` [B] rows of `previous` [B, n, A] are executed anyway."""

    previous: Tensor
    delays: Tensor


@dataclasses.dataclass
class Guidance:
    """Real-time chunking by guidance towards `previous` [B, n, A], the rest of the previous chunk, with weights [H] of
    the rows (0 beyond n), as LeRobot computes it: the error is not multiplied by a Jacobian."""

    previous: Tensor
    weights: Tensor
    max_weight: float


def prefix_weights(schedule: str, start: int, end: int, rows: int) -> Tensor:
    """The guidance weights [rows]: 1 before `start` (the delay), 0 from `end` on (the execution horizon, at most the
    rows of the previous chunk), between them as `schedule` says: linear, exp, ones or zeros."""
    end = min(end, rows)
    start = min(start, end)
    i = torch.arange(rows, dtype=torch.float64)
    ramp = ((start - 1 - i) / (end - start + 1) + 1).clamp(0, 1)
    curves = {
        "linear": ramp,
        "exp": ramp * torch.expm1(ramp) / (math.e - 1),
        "ones": torch.ones_like(ramp),
        "zeros": (i < start).double(),
    }
    return torch.where(i < end, curves[schedule], 0.0).float()


def guidance_weight(time: float, max_weight: float) -> float:
    """The weight of the guidance at a flow time."""
    tau = 1.0 - time
    if tau == 0.0 or time == 0.0:
        return max_weight
    return min(max_weight, time / tau * (tau**2 + time**2) / time**2)


def sample(
    model: Pi05,
    cache: PrefixCache,
    noise: Tensor,
    times: list[float] | None = None,
    rtc: TrainedPrefix | Guidance | None = None,
    velocities: list[Tensor] | None = None,
) -> Tensor:
    """Actions [B, H, A] from `noise` [B, H, A], one Euler step per time. Appends each velocity to `velocities`."""
    times = flow_times(model.dims.num_steps) if times is None else times
    x = noise
    known = None
    if rtc is not None:
        missing = noise.shape[1] - rtc.previous.shape[1]
        previous = torch.nn.functional.pad(rtc.previous, (0, 0, 0, missing))
        if isinstance(rtc, TrainedPrefix):
            known = torch.arange(noise.shape[1], device=noise.device) < rtc.delays[:, None]  # [B, H]
    for time in times:
        if known is not None:
            x = torch.where(known[..., None], previous, x)
        at = torch.full((x.shape[0], 1), time, device=x.device)
        v = model.velocity(cache, x[:, None], at, None if known is None else known[:, None])[:, 0]
        if isinstance(rtc, Guidance):
            error = rtc.weights[:, None] * (previous - (x - time * v))
            v = v - guidance_weight(time, rtc.max_weight) * error
        if velocities is not None:
            velocities.append(v)
        x = x - v / len(times)
    return x if known is None else torch.where(known[..., None], previous, x)
