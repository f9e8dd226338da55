"""The comparison as a PNG: for each plant the largest jump, the jerk and the idle steps over the delay; success of the policy."""

import pathlib

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from sim.evaluation.plot import COLOURS
from sim.evaluation.results import rate
from sim.plot import STYLE

QUANTITIES = {
    "jump_max": "largest jump of a run, median;\n1 = what one period allows",
    "jerk_rms": "jerk RMS, rad/s³",
    "idle": "idle steps, %",
    "success": "success, %, with 95 % interval",
}
PLANTS = {"toy": "toy plant", "arm": "simulated arm", "policy": "trained policy, node", "in_process": "trained policy"}


def draw(results: list[dict], path: pathlib.Path) -> None:
    """`results`: as in the JSON file; those with a wrong delay are not drawn."""
    drawn = [result for result in results if result["error"] is None]
    plants = [plant for plant in PLANTS if any(result["plant"] == plant for result in drawn)]
    with plt.rc_context(STYLE):
        size = (4.2 * len(QUANTITIES), 3.2 * len(plants))
        figure, axes = plt.subplots(len(plants), len(QUANTITIES), figsize=size, dpi=100, layout="constrained", squeeze=False)
        for row, plant in zip(axes, plants, strict=True):
            mine = [result for result in drawn if result["plant"] == plant]
            for axis, (quantity, label) in zip(row, QUANTITIES.items(), strict=True):
                draw_quantity(axis, mine, quantity)
                axis.set_title(f"{PLANTS[plant]}: {label}", loc="left", fontsize=9)
        axes[0][0].legend(frameon=False, fontsize=8)
        figure.savefig(path)
        plt.close(figure)


def draw_quantity(axis: Axes, results: list[dict], quantity: str) -> None:
    delays = list(dict.fromkeys(result["delay"] for result in results))
    modes = list(dict.fromkeys(result["mode"] for result in results))
    for number, (mode, colour) in enumerate(zip(modes, COLOURS, strict=True)):
        mine = {result["delay"]: result["runs"] for result in results if result["mode"] == mode}
        x = np.arange(len(mine)) + 0.12 * (number - 2)  # so that equal values remain visible
        bars = [summary(runs, quantity) for runs in mine.values()]
        middle, low, high = np.array(bars).T
        axis.plot(x, middle, "o", color=colour, label=mode, ms=5)
        axis.vlines(x, low, high, color=colour, alpha=0.6)
    axis.set_xticks(range(len(delays)), delays)
    axis.set_ylim(0, 104 if quantity == "success" else None)
    axis.grid(axis="y", color="#e5eaf0")


def summary(runs: list[dict], quantity: str) -> tuple[float, float, float]:
    """The middle and the ends of the line: of the jump median, smallest and largest; of others mean and 95 % interval."""
    if quantity == "success":
        success = rate(runs)
        return 100 * success["rate"], 100 * success["low"], 100 * success["high"]
    values = np.array([run[quantity] for run in runs]) * (100 if quantity == "idle" else 1)
    if quantity == "jump_max":
        return float(np.median(values)), float(values.min()), float(values.max())
    error = 1.96 * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(values.mean()), float(values.mean() - error), float(values.mean() + error)
