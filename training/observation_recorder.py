"""Records the observations that a policy infers from, for training.compare_backends."""

import pathlib

import numpy as np

from training.policy import Inference


class ObservationRecorder:
    """An inference that keeps the first `limit` observations and saves them to `path`."""

    def __init__(self, inference: Inference, path: pathlib.Path, limit: int) -> None:
        self._inference, self._path, self._limit = inference, path, limit
        self._rows: list[tuple[np.ndarray, list[int], np.ndarray]] = []
        self._saved = 0

    def infer(self, images: list[np.ndarray], tokens: list[int], noise: np.ndarray, prefix=None) -> np.ndarray:
        if len(self._rows) < self._limit:
            self._rows.append((np.stack(images), tokens, noise))
        return self._inference.infer(images, tokens, noise, prefix)

    def save(self) -> None:
        """Writes what is new since the last time, in the format of training.compare_backends."""
        if len(self._rows) == self._saved:
            return
        self._saved = len(self._rows)
        longest = max(len(tokens) for _, tokens, _ in self._rows)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            self._path,
            images=np.stack([images for images, _, _ in self._rows]),
            tokens=np.array([tokens + [0] * (longest - len(tokens)) for _, tokens, _ in self._rows], dtype=np.int32),
            token_counts=np.array([len(tokens) for _, tokens, _ in self._rows], dtype=np.int32),
            noise=np.stack([noise for _, _, noise in self._rows]),
        )
