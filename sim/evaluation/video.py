"""A GIF of some episodes: both camera images next to each other under the prompt."""

import pathlib

import numpy as np
from PIL import Image, ImageDraw

from sim.drawing import TEXT, font, outcome_label, shortened
from sim.episode_report import EpisodeReport
from sim.evaluation.results import PLAIN, Record, condition_of, kinds
from sim.gif import gif_bytes

SCALE = 2  # images are kept with this fraction of their width and height
INTERVAL = 200_000_000  # ns of simulated time between two frames
CANDIDATES = 3  # episodes of each kind of task of which frames are kept; a success among them is shown
SPEED = 2
MAX_BYTES = 1_000_000
ATTEMPTS = ((240, 64, 1), (240, 32, 1), (200, 32, 1), (200, 32, 2), (160, 16, 3))
"""Width of an image in px, colours, and n: every nth frame is used."""
LAST_FRAME_MS = 1500  # how long the outcome is shown
CAPTION, MARGIN = 26, 6  # px


class Frames:
    """Keeps a frame of an episode every INTERVAL."""

    def __init__(self) -> None:
        self._frames: list[np.ndarray] = []
        self._due = 0

    def add(self, now: int, images: dict[str, np.ndarray]) -> None:
        """`images`: uint8 [h, w, 3], in the order from left to right. `now`: their stamp, ns."""
        if now < self._due:
            return
        self._due = now + INTERVAL * 9 // 10  # the next tick after INTERVAL, although ticks are rounded to ns
        self._frames.append(np.stack([reduced(image) for image in images.values()]))

    def save(self, path: pathlib.Path) -> None:
        """Writes uint8 [frames, cameras, h, w, 3]."""
        np.savez_compressed(path, frames=np.array(self._frames))


def reduced(image: np.ndarray) -> np.ndarray:
    """The image with SCALE × SCALE pixels averaged, uint8."""
    height, width = image.shape[0] // SCALE, image.shape[1] // SCALE
    blocks = image[: height * SCALE, : width * SCALE].reshape(height, SCALE, width, SCALE, 3)
    return blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)


def frames_path(directory: pathlib.Path, index: int) -> pathlib.Path:
    return directory / f"{index:04}.npz"


def has_frames(index: int, task_count: int) -> bool:
    """Whether frames of the episode are kept, of the plain run only. `task_count`: kinds of task, which are dealt in turn."""
    return index < CANDIDATES * task_count


def write_video(records: list[Record], directory: pathlib.Path, path: pathlib.Path) -> None:
    """Writes the first of ATTEMPTS that is not larger than MAX_BYTES, or the last one. `directory`: the saved frames."""
    shown = selected(records, directory)
    if not shown:
        return
    for width, colours, stride in ATTEMPTS:
        images: list[Image.Image] = []
        durations: list[int] = []
        for record in shown:
            frames = np.load(frames_path(directory, record["episode"]))["frames"]
            chosen = list(frames[:-1:stride]) + [frames[-1]]
            images += [captioned(frame, record, width, frame is chosen[-1]) for frame in chosen]
            durations += [round(INTERVAL / 1e6 * stride / SPEED)] * (len(chosen) - 1) + [LAST_FRAME_MS]
        data = gif_bytes(images, durations, colours)
        if len(data) <= MAX_BYTES:
            break
    path.write_bytes(data)


def selected(records: list[Record], directory: pathlib.Path) -> list[Record]:
    """One episode of each kind of task, of the first condition: the first success, or else the first failure."""
    kept = [r for r in records if condition_of(r)[2] == PLAIN and frames_path(directory, r["episode"]).exists()]
    kept = [record for record in kept if condition_of(record) == condition_of(kept[0])]
    by_kind = [[record for record in kept if record["task"] == kind] for kind in kinds(kept)]
    return [next((record for record in same if record["success"]), same[0]) for same in by_kind]


def captioned(frame: np.ndarray, record: Record, width: int, is_last: bool) -> Image.Image:
    """Both images under the prompt; in the last image with the outcome."""
    height = width * frame.shape[1] // frame.shape[2]
    image = Image.new("RGB", (width * len(frame), CAPTION + height), "white")
    for index, pixels in enumerate(frame):
        view = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
        image.paste(view, (index * width, CAPTION))
    draw = ImageDraw.Draw(image)
    middle, right, text_font = CAPTION // 2, image.width - MARGIN, font(13, bold=True)
    label, colour = outcome_label(report_of(record)) if is_last else ("", TEXT)
    draw.text((right, middle), label, fill=colour, anchor="rm", font=text_font)
    room = right - 2 * MARGIN - round(text_font.getlength(label))
    draw.text((MARGIN, middle), shortened(record["prompt"], room, text_font), fill=TEXT, anchor="lm", font=text_font)
    return image


def report_of(record: Record) -> EpisodeReport:
    return EpisodeReport(
        index=record["episode"],
        count=1,
        prompt=record["prompt"],
        seed=record["layout_seed"],
        task=record["task"],
        begin=0,
        end=round(record["time_s"] * 1e9),
        success=record["success"],
        reason=record["reason"] or "",
    )
