"""`python -m training.plot_curves STAGE1/training.json … --out FILE.png`: losses and success in training, by stage.

Each file is what training.train writes into its checkpoint. Needs no PyTorch.
"""

import argparse
import functools
import json
import operator
import pathlib
from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from sim.drawing import palette_of, with_palette
from sim.tasks import TASKS

LOSSES = {"flow": "flow matching (MSE of the velocity)", "auxiliary": "auxiliary head (smooth L1)"}
MIN_EPISODES = 8  # a rate of fewer is not drawn


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.plot_curves", description=__doc__.splitlines()[0])
    parser.add_argument("stages", type=pathlib.Path, nargs="+", metavar="training.json", help="of each stage, in order")
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FILE.png")
    return parser.parse_args()


Curve = list[dict]
"""The entries of a learning curve of training.train."""


def draw_stages(
    axis: Axes, curves: list[Curve], starts: list[int], value_of: Callable[[dict], float | None], **style
) -> None:
    """One line for each stage. `starts`: optimiser steps before each. `value_of` an entry: None is not drawn."""
    for curve, start in zip(curves, starts, strict=True):
        points = [(start + entry["steps"], value_of(entry)) for entry in curve]
        points = [point for point in points if point[1] is not None]
        axis.plot(*zip(*points, strict=True) if points else ((), ()), **style)
        style.pop("label", None)


def success_of(kind: str, entry: dict) -> float | None:
    """In %, of the episodes in which the policy moved the arm since the previous entry."""
    done, count = entry.get(f"{kind}_rollouts", (0, 0))
    return 100 * done / count if count >= MIN_EPISODES else None


def draw(curves: list[Curve], path: pathlib.Path) -> None:
    """Writes the PNG: losses on the left, success by task on the right. `curves`: of each stage."""
    starts = [sum(curve[-1]["steps"] for curve in curves[:stage]) for stage in range(len(curves))]
    figure, (losses, success) = plt.subplots(1, 2, figsize=(9, 3.2), dpi=100, layout="constrained")
    for colour, (key, label) in zip(("C0", "C1"), LOSSES.items(), strict=True):
        draw_stages(losses, curves, starts, operator.itemgetter(key), color=colour, label=label)
    losses.set_yscale("log")
    losses.set_ylabel("training loss")
    losses.grid(alpha=0.3, which="both")
    for index, kind in enumerate(TASKS):
        rates = functools.partial(success_of, kind)
        draw_stages(success, curves, starts, rates, color=f"C{index}", label=kind, linewidth=1.2)
    success.set_ylabel("success in training, %")
    success.set_ylim(-2, 102)
    success.grid(alpha=0.3)
    for axis in (losses, success):
        axis.set_xlabel("optimiser step")
        axis.legend(fontsize=8)
        for stage, start in enumerate(starts, 1):
            if start:
                axis.axvline(start, color="0.5", linewidth=0.8, linestyle="--")
            axis.text(start, 1.01, f"stage {stage}", fontsize=8, color="0.3", transform=axis.get_xaxis_transform())
        axis.set_xlim(left=0)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    with_palette(Image.fromarray(pixels), palette_of([pixels], 256)).save(path, optimize=True)
    plt.close(figure)


if __name__ == "__main__":
    options = arguments()
    draw([json.loads(path.read_text())["curve"] for path in options.stages], options.out)
