"""Colours, fonts and palettes of the plot and the GIF."""

import functools

import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageFont

from sim.episode_report import EpisodeReport

TEXT, MUTED, NUMBER, SUCCESS, FAILURE = "#1f2933", "#6b7785", "#0f4c66", "#1a7f37", "#b42318"
FAMILY = "DejaVu Sans"


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of the figures for Pillow, `size` in px."""
    return ImageFont.truetype(findfont(FontProperties(family=FAMILY, weight="bold" if bold else "normal")), size)


def shortened(text: str, width: int, text_font: ImageFont.FreeTypeFont) -> str:
    """The text in one line of at most `width` px; the end is replaced by … where it would be wider."""
    line = " ".join(text.split())
    if text_font.getlength(line) <= width:
        return line
    while line and text_font.getlength(f"{line}…") > width:
        line = line[:-1]
    return f"{line.rstrip()}…"


def outcome_label(episode: EpisodeReport) -> tuple[str, str]:
    """The outcome with a mark, and its colour."""
    mark, color = {True: ("✓ ", SUCCESS), False: ("✗ ", FAILURE), None: ("", MUTED)}[episode.success]
    return mark + episode.outcome, color


def palette_of(images: list[np.ndarray], colors: int) -> Image.Image:
    """An image whose palette has the `colors` that suit the images (uint8 [height, width, 3]) best.

    Similar colours count once with the root of their number of pixels: by that number alone, the background would get all
    colours and the blocks none.
    """
    pixels = np.concatenate([image.reshape(-1, 3) for image in images])
    bins = (pixels >> 3).astype(np.int64) @ (1024, 32, 1)
    _, first, counts = np.unique(bins, return_index=True, return_counts=True)
    sample = np.repeat(pixels[first], np.sqrt(counts).astype(int), axis=0)
    return Image.fromarray(sample[None]).quantize(colors, method=Image.Quantize.MEDIANCUT, kmeans=10)


def with_palette(image: Image.Image, palette: Image.Image) -> Image.Image:
    """The image in the nearest colours of the palette, without dithering, which would make its file larger."""
    return image.quantize(palette=palette, dither=Image.Dither.NONE)
