"""Draws the results of an evaluation as a PNG: success with intervals, times, and controls or delays if there are any."""

import pathlib

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from sim.evaluation.results import PLAIN, Record, condition_of, kinds
from sim.evaluation.tables import closing_line, condition_text
from sim.plot import MEASURED, MUTED, STYLE
from sim.tasks import CONTROL_RATE, TIME_LIMITS

COLOURS = (MEASURED, "#e07a5f", "#3d8b6f", "#8a6fb3", "#b08900")


def draw(records: list[Record], summaries: list[dict], path: pathlib.Path) -> None:
    """`summaries`: of `results.summarise`. The first plain condition has the panels of tasks and times."""
    plain = [summary for summary in summaries if summary["control"] == PLAIN]
    first = plain[0]
    setting = (first["mode"], first["delay_ms"])
    controls = [s for s in summaries if s["control"] != PLAIN and (s["mode"], s["delay_ms"]) == setting]
    panels = 2 + bool(controls) + (len(plain) > 1)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, panels, figsize=(4.6 * panels, 3.6), dpi=120, layout="constrained", squeeze=False)
        figure.get_layout_engine().set(wspace=0.06)
        title = closing_line(records) if len(plain) > 1 else f"{closing_line(records)} · {condition_text(first)}"
        figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
        remaining = list(axes[0])
        where = f", {condition_text(first)}" if len(plain) > 1 else ""
        by_task = {kind: task["success"] for kind, task in first["tasks"].items()}
        draw_success(remaining.pop(0), by_task, f"Success by task{where}")
        mine = [record for record in records if condition_of(record) == (*setting, PLAIN)]
        draw_times(remaining.pop(0), mine, f"Time of successes{where}")
        if controls:
            rates = {"plain run": first["all"]["success"]} | {s["control"]: s["all"]["success"] for s in controls}
            draw_success(remaining.pop(0), rates, "Success with wrong inputs")
        if len(plain) > 1:
            draw_delays(remaining.pop(0), plain)
        figure.savefig(path)
        plt.close(figure)


def draw_success(axis: Axes, rates: dict[str, dict], title: str) -> None:
    """One row for each name: the rate and its interval."""
    for row, rate in enumerate(rates.values()):
        if rate["of"]:
            draw_interval(axis, rate, row, MEASURED)
            text = f"{rate['count']}/{rate['of']}"
            axis.annotate(text, (102, row), va="center", fontsize=8, color=MUTED, annotation_clip=False)
    axis.set_yticks(range(len(rates)), rates)
    axis.set_ylim(len(rates) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.set_xlabel("%, with 95 % interval")
    axis.grid(axis="x", color="#e5eaf0")
    axis.set_title(title, loc="left", fontweight="bold", fontsize=10)


def draw_interval(axis: Axes, rate: dict, row: float, colour: str) -> None:
    axis.plot([100 * rate["low"], 100 * rate["high"]], [row, row], color=colour, lw=2)
    axis.plot(100 * rate["rate"], row, "o", color=colour, ms=6, clip_on=False)


def draw_times(axis: Axes, records: list[Record], title: str) -> None:
    """One row for each kind of task: the time of every success, their median, and the time limit."""
    names = kinds(records)
    for row, name in enumerate(names):
        times = np.array([record["time_s"] for record in records if record["task"] == name and record["success"]])
        offsets = np.random.default_rng(row).uniform(-0.22, 0.22, len(times))  # so that equal times remain visible
        axis.plot(times, row + offsets, "o", color=MEASURED, ms=3.5, alpha=0.45, mew=0)
        if len(times):
            axis.plot([np.median(times)] * 2, [row - 0.32, row + 0.32], color=COLOURS[1], lw=2)
        axis.plot([TIME_LIMITS[name] / CONTROL_RATE] * 2, [row - 0.32, row + 0.32], color=MUTED, lw=1, ls=":")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlim(0, None)
    axis.set_xlabel("s of simulated time; median, and time limit (dotted)")
    axis.set_title(title, loc="left", fontweight="bold", fontsize=10)


def draw_delays(axis: Axes, summaries: list[dict]) -> None:
    """One line for each mode: success of all tasks over the injected delay."""
    for colour, mode in zip(COLOURS, dict.fromkeys(summary["mode"] for summary in summaries), strict=False):
        mine = sorted((s for s in summaries if s["mode"] == mode), key=lambda summary: summary["delay_ms"])
        delays = [summary["delay_ms"] for summary in mine]
        rate, low, high = (
            [100 * summary["all"]["success"][key] for summary in mine] for key in ("rate", "low", "high")
        )
        axis.plot(delays, rate, "o-", color=colour, label=mode, ms=5)
        axis.vlines(delays, low, high, color=colour, alpha=0.5)
    axis.set_ylim(0, 102)
    axis.set_xlabel("injected delay, ms")
    axis.set_ylabel("success of all tasks, %")
    axis.legend(frameon=False)
    axis.set_title("Success by mode and delay", loc="left", fontweight="bold", fontsize=10)
