"""Writes GIFs whose images have large areas in common."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from sim.drawing import palette_of, with_palette

SAMPLES = 24  # images that the palette is made from


def gif_bytes(images: Sequence[Image.Image], durations: Sequence[int], colors: int) -> bytes:
    """A GIF that repeats. Image k is shown for `durations[k]` ms.

    All images share one palette of `colors`, at most 256, so that an area that does not change costs nothing.
    """
    some = images[:: -(-len(images) // SAMPLES)]
    palette = palette_of([np.asarray(image)[::2, ::2] for image in some], colors)
    first, *rest = (with_palette(image, palette) for image in images)
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=rest, duration=list(durations), loop=0)
    return out.getvalue()
