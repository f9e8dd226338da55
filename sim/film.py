"""Frames of both cameras, kept in memory for the film strips and the GIF."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

FRAME_INTERVAL = 100_000_000  # ns of simulation time between two frames
MAX_FRAMES = 1200  # two minutes; about 60 MB


@dataclass(frozen=True)
class Frame:
    """The images of both cameras at one time, uint8 [height, width, 3], rgb."""

    time: int  # ns
    exterior: np.ndarray
    wrist: np.ndarray


class Film:
    """Frames in the order of their times, compressed without loss: about 50 kB for two rendered images of 640×480.

    A film of MAX_FRAMES loses every second frame and continues at half the rate.
    """

    def __init__(self, max_frames: int = MAX_FRAMES) -> None:
        self.interval = FRAME_INTERVAL  # ns between two frames
        self._max_frames = max_frames
        self._times: list[int] = []
        self._frames: list[tuple[tuple[tuple[int, ...], bytes], ...]] = []

    def __len__(self) -> int:
        return len(self._times)

    def is_due(self, time: int) -> bool:
        """Whether `time` (ns) is in a later interval than the newest frame."""
        return not self._times or time // self.interval > self._times[-1] // self.interval

    def add(self, frame: Frame) -> None:
        if len(self) >= self._max_frames:
            self._times, self._frames = self._times[::2], self._frames[::2]
            self.interval *= 2
        self._times.append(frame.time)
        self._frames.append(
            tuple((image.shape, zlib.compress(image.tobytes(), 1)) for image in (frame.exterior, frame.wrist))
        )

    def between(self, begin: int, end: int, interval: int) -> Iterator[Frame]:
        """The frames with begin ≤ time ≤ end, at least about `interval` apart (all in ns)."""
        for index in self._indices(begin, end)[:: max(1, round(interval / self.interval))]:
            yield self._frame(index)

    def spread(self, begin: int, end: int, count: int) -> list[Frame]:
        """At most `count` different frames at equal distances, the first at `begin` (ns) and the last at `end`."""
        indices = self._indices(begin, end)
        if not indices:
            return []
        chosen = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)
        return [self._frame(indices[i]) for i in chosen]

    def _indices(self, begin: int, end: int) -> list[int]:
        return [index for index, time in enumerate(self._times) if begin <= time <= end]

    def _frame(self, index: int) -> Frame:
        images = (np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape) for shape, data in self._frames[index])
        return Frame(self._times[index], *images)
