"""Frames of episodes: both camera images next to each other, small. A GIF of selected episodes."""

import pathlib

import numpy as np

SCALE = 4  # a frame has every camera image reduced by this factor
INTERVAL = 200_000_000  # ns of simulated time between two frames


class Frames:
    """Keeps a frame every INTERVAL."""

    def __init__(self) -> None:
        self._frames: list[np.ndarray] = []
        self._due = 0

    def clear(self) -> None:
        self._frames, self._due = [], 0

    def add(self, now: int, images: dict[str, np.ndarray]) -> None:
        """`images`: uint8 [h, w, 3], in the order from left to right. `now`: their stamp, ns."""
        if now < self._due:
            return
        self._due = now + INTERVAL - INTERVAL // 10  # a tick may be a little early
        self._frames.append(np.concatenate([reduced(image) for image in images.values()], axis=1))

    def save(self, path: pathlib.Path) -> None:
        """Writes uint8 [frames, h, w, 3]."""
        np.savez_compressed(path, frames=np.array(self._frames))


def reduced(image: np.ndarray) -> np.ndarray:
    """The image with SCALE × SCALE pixels averaged, uint8."""
    height, width = image.shape[0] // SCALE, image.shape[1] // SCALE
    blocks = image[: height * SCALE, : width * SCALE].reshape(height, SCALE, width, SCALE, 3)
    return blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)
