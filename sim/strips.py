"""Film strips: a row of exterior images for each episode, each with the wrist image of the same time in its upper right corner."""

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from sim.drawing import MUTED, NUMBER, TEXT, font, outcome_label, shortened
from sim.episode_report import EpisodeReport
from sim.film import Film, Frame

FRAMES = 6  # of a strip
GAP = 6  # px between two frames
TITLE_HEIGHT = 42  # px
SPACE = 18  # px below a strip
INSET = 0.36  # size of the wrist image relative to the exterior image
POINT = 0.72  # points in a pixel at 100 dpi


def strip_size(width: int) -> tuple[int, int]:
    """Width and height of an exterior image in px, in strips of `width` px."""
    frame = (width - (FRAMES - 1) * GAP) // FRAMES
    return frame, round(frame * 3 / 4)


def strips_height(width: int, count: int) -> int:
    """The height of `count` strips in px."""
    return count * (TITLE_HEIGHT + strip_size(width)[1] + SPACE)


def draw_strips(figure: Figure, film: Film, episodes: list[EpisodeReport], left: int, top: int, width: int) -> None:
    """Draws the strips below each other. `left`, `top`, `width` in px, `top` from the upper edge of the figure."""
    height = figure.bbox.height
    for row, episode in enumerate(episodes):
        y = top + strips_height(width, row)
        draw_title(figure, episode, left, height - y - TITLE_HEIGHT / 2, width)
        frames = film.spread(episode.begin, episode.end, FRAMES)
        if not frames:
            place_text(figure, left, height - y - TITLE_HEIGHT - 20, "no image received", 16, MUTED)
        for column, frame in enumerate(frames):
            size = strip_size(width)
            pixels = composed(frame, size, (frame.time - episode.begin) / 1e9)
            x = left + column * (size[0] + GAP)
            figure.figimage(pixels, x, round(height - y - TITLE_HEIGHT - size[1]), origin="upper", zorder=3)


def draw_title(figure: Figure, episode: EpisodeReport, left: int, middle: float, width: int) -> None:
    """The number of the episode, its prompt and its outcome in one line. `middle` in px from the lower edge."""
    if not episode.prompt:
        place_text(figure, left, middle, "Both cameras", 23, TEXT, fontweight="bold")
        return
    badge = {"boxstyle": "circle,pad=0.28", "facecolor": NUMBER, "edgecolor": "none"}
    place_text(figure, left + 14, middle, str(episode.index + 1), 17, "white", ha="center", fontweight="bold", bbox=badge)
    outcome, color = outcome_label(episode)
    place_text(figure, left + width, middle, outcome, 21, color, ha="right")
    room = width - 42 - 40 - round(font(21).getlength(outcome))
    place_text(figure, left + 42, middle, shortened(episode.prompt, room, font(23, bold=True)), 23, TEXT, fontweight="bold")


def place_text(figure: Figure, x: float, y: float, text: str, size: float, color: str, **options) -> None:
    """Text of `size` px at a position in px, vertically centred."""
    across, up = x / figure.bbox.width, y / figure.bbox.height
    figure.text(across, up, text, fontsize=size * POINT, color=color, va="center_baseline", parse_math=False, **options)


def composed(frame: Frame, size: tuple[int, int], seconds: float) -> np.ndarray:
    """The exterior image of `size` px with the wrist image as an inset and the time since the begin of the episode."""
    image = Image.fromarray(frame.exterior).resize(size, Image.Resampling.LANCZOS)
    inset = (round(size[0] * INSET), round(size[1] * INSET))
    wrist = Image.fromarray(frame.wrist).resize(inset, Image.Resampling.LANCZOS)
    corner = (size[0] - inset[0], 0)
    draw = ImageDraw.Draw(image)
    draw.rectangle((corner[0] - 3, 0, size[0], inset[1] + 2), fill="white")
    image.paste(wrist, corner)
    draw.text((8, size[1] - 8), f"{seconds:.1f} s", fill="white", anchor="ls", font=font(17, bold=True))
    return np.asarray(image)
