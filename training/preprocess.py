"""From the robot's units and camera images to what the model sees, and back: exactly as the node does."""

import functools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

EPSILON = 1e-6  # openpi's, added to the range of the quantiles
PRECISION = 22  # bits of Pillow's fixed-point filter weights


def normalize(x: np.ndarray, statistics: Mapping[str, np.ndarray]) -> np.ndarray:
    """Robot units [..., S] to about -1 … 1, by the quantiles `q01` and `q99` [at least S]; in float64."""
    low, high = _quantiles(statistics, x.shape[-1])
    return (np.asarray(x, dtype=np.float64) - low) / (high - low + EPSILON) * 2.0 - 1.0


def unnormalize(x: np.ndarray, statistics: Mapping[str, np.ndarray]) -> np.ndarray:
    """The inverse of `normalize`, in float64. As in openpi, x + 1 of float32 actions is rounded to float32."""
    low, high = _quantiles(statistics, x.shape[-1])
    return (np.asarray(x) + 1.0) / 2.0 * (high - low + EPSILON) + low


def quantile_statistics(x: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, standard deviation and the 1 % and 99 % quantiles [S] of samples [N, S], for norm_stats.json."""
    q01, q99 = np.quantile(x, [0.01, 0.99], axis=0)
    return {"mean": x.mean(0), "std": x.std(0), "q01": q01, "q99": q99}


def _quantiles(statistics: Mapping[str, np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.asarray(statistics[key], dtype=np.float64) for key in ("q01", "q99"))
    if size > len(low):
        raise ValueError(f"Expected at most {len(low)} values, as the statistics have, received {size}")
    return low[:size], high[:size]


def fit(width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """The size (width, height) of an image resized into a square of `size` pixels, and its left and top padding."""
    if (width, height) == (size, size):
        return size, size, 0, 0
    ratio = max(width / size, height / size)
    resized_width, resized_height = int(width / ratio), int(height / ratio)
    return resized_width, resized_height, (size - resized_width) // 2, (size - resized_height) // 2


@functools.cache
def filter_weights(source: int, target: int) -> np.ndarray:
    """Pillow's antialiased BILINEAR filter along one axis, as integers [target, source] in units of 2^-PRECISION.

    A triangle around the centre of each target pixel, at least one source pixel wide on each side. Weights are rounded.
    """
    scale = source / target
    support = max(scale, 1.0)
    weights = np.zeros((target, source), dtype=np.int64)
    for i in range(target):
        centre = (i + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), source)
        distance = np.abs((np.arange(first, last) - centre + 0.5) * (1.0 / support))
        row = np.where(distance < 1.0, 1.0 - distance, 0.0)
        # Pillow sums one weight after the other; numpy's sum would round differently.
        weights[i, first:last] = (0.5 + row / functools.reduce(float.__add__, row.tolist()) * (1 << PRECISION)).astype(
            int
        )
    return weights


def resize(images: Tensor, size: int) -> Tensor:
    """uint8 images [N, height, width, 3], fitted into [N, size, size, 3] with black padding, on the images' device.

    The bytes are those of Pillow, which rounds to 8 bits after each axis. Sums of the fixed-point products are exact in
    float64: they stay below 2^31.
    """
    count, height, width, channels = images.shape
    new_width, new_height, left, top = fit(width, height, size)
    if min(new_width, new_height) == 0:
        raise ValueError(f"Expected an image that is less elongated, received {width} x {height}")
    x = images
    if new_width != width:
        x = _filtered(x.transpose(2, 3), filter_weights(width, new_width)).transpose(2, 3)
    if new_height != height:
        x = _filtered(x.reshape(count, height, -1).transpose(1, 2), filter_weights(height, new_height)).transpose(1, 2)
    out = images.new_zeros(count, size, size, channels)
    out[:, top : top + new_height, left : left + new_width] = x.reshape(count, new_height, new_width, channels)
    return out


def _filtered(x: Tensor, weights: np.ndarray) -> Tensor:
    """uint8 `x` [..., source] times the integer `weights` [target, source], rounded: uint8 [..., target]."""
    matrix = torch.from_numpy(weights.T.astype(np.float64)).to(x.device)
    sums = x.double() @ matrix + float(1 << (PRECISION - 1))
    return (sums / (1 << PRECISION)).floor().clamp(0, 255).to(torch.uint8)
