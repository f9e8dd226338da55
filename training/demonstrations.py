"""Demonstrations in files: frames with the actions that the demonstrator wants from there on.

A directory holds files NAME.npz, each with the arrays of N frames:

    images   uint8 [N, 2, height, width, 3]  exterior and wrist camera, RGB, 4:3, as wide as the model's images
    state    float32 [N, 8]      joint positions (rad), gripper 0 open … 1 closed
    actions  float32 [N, 15, 8]  the next control ticks: joint velocities (1.0 = 3 rad/s), gripper 0 open … 1 closed
    prompt   str [N]
    known    int64 [N]           optional: the first actions that were executed whatever the demonstrator wanted; 0 by
    default auxiliary float32 [N, 11]    optional: what the auxiliary loss predicts (training.workers.auxiliary); no
    loss by default
"""

import pathlib

import numpy as np

from training.workers import AUXILIARY

SHARD = 500  # frames of a file

NAMES = {
    "images": "frame_images",
    "state": "frame_state",
    "actions": "frame_label",
    "known": "frame_delay",
    "auxiliary": "frame_auxiliary",
}
"""From an array of a file to that of a worker (training.workers.SharedArrays)."""


class Writer:
    """Writes frames into a directory, SHARD or a few more to a file. Existing files are kept."""

    def __init__(self, directory: pathlib.Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._frames: list[tuple[dict[str, np.ndarray], list[str]]] = []
        self.count = 0

    def add(self, frames: dict[str, np.ndarray], prompts: list[str]) -> None:
        """The first frames of a worker's arrays, as many as there are prompts. They are copied."""
        self._frames.append(({name: frames[name][: len(prompts)].copy() for name in NAMES.values()}, prompts))
        self.count += len(prompts)
        if sum(len(prompts) for _, prompts in self._frames) >= SHARD:
            self.flush()

    def flush(self) -> None:
        """Writes what was added."""
        if not self._frames:
            return
        arrays = {name: np.concatenate([part[own] for part, _ in self._frames]) for name, own in NAMES.items()}
        prompts = np.array([prompt for _, prompts in self._frames for prompt in prompts])
        index = sum(1 for _ in self._directory.glob("*.npz"))
        np.savez_compressed(self._directory / f"{index:04}.npz", **arrays, prompt=prompts)
        self._frames.clear()


def files(directories: list[pathlib.Path]) -> list[pathlib.Path]:
    """The files of all directories. Raises FileNotFoundError for a directory without any."""
    found = {directory: sorted(directory.glob("*.npz")) for directory in directories}
    if empty := [str(directory) for directory, paths in found.items() if not paths]:
        raise FileNotFoundError(f"Expected .npz files in {', '.join(empty)}, found none")
    return [path for paths in found.values() for path in paths]


def prompts_in(path: pathlib.Path) -> list[str]:
    with np.load(path) as stored:
        return stored["prompt"].tolist()


def read(path: pathlib.Path, image: tuple[int, ...], horizon: int) -> dict[str, np.ndarray]:
    """The frames of a file, as the arrays of a worker. Raises ValueError for other shapes.

    `image`: cameras, height, width, 3 of a frame. `horizon`: actions of a frame.
    """
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    count = len(arrays["prompt"])
    arrays.setdefault("known", np.zeros(count, np.int64))
    arrays.setdefault("auxiliary", np.full((count, AUXILIARY), np.nan, np.float32))
    shapes = {"images": image, "state": (8,), "actions": (horizon, 8), "known": (), "auxiliary": (AUXILIARY,)}
    for name, shape in shapes.items():
        if arrays[name].shape != (count, *shape):
            raise ValueError(f"Expected {name} of shape {(count, *shape)} in {path}, received {arrays[name].shape}")
    return {own: arrays[name] for name, own in NAMES.items()}
