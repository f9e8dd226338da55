"""The demo's picture: commanded and measured joints over time, chunk boundaries, both camera views. 1600×1000 PNG."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from sim.recorder import Recording

COMMANDED, MEASURED, BOUNDARY, INK, QUIET = "#f6a98e", "#0f4c66", "#9aa5b1", "#1f2933", "#6b7785"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": "#c5ced8",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
}


def draw(recording: Recording, summary: dict, title: str, path: str) -> None:
    """Writes `path`. Arms under velocity control show velocities, others positions; the gripper its opening."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(16, 10), dpi=100, facecolor="white")
        figure.text(0.03, 0.962, title, fontsize=19, fontweight="bold", va="center")
        figure.text(0.03, 0.926, headline(summary), fontsize=12, color=QUIET, va="center")
        joints(figure, recording, summary["duration"])
        cameras(figure, recording)
        figure.savefig(path)
        plt.close(figure)


def headline(summary: dict) -> str:
    """The numbers of the run in one line."""

    def number(key: str, unit: str = "", digits: int = 0) -> str:
        value = summary[key]
        return "unknown" if value is None else f"{value:.{digits}f}{unit}"

    refused = summary["refused"]
    refusals = "unknown" if refused is None else str(sum(refused.values()))
    return "   ·   ".join(
        [
            f"{number('duration', ' s', 1)}",
            f"{number('observations')} observations, {refusals} refused",
            f"{number('chunks')} chunks",
            f"inference p50 {number('inference_ms_p50', ' ms', 1)}, p99 {number('inference_ms_p99', ' ms', 1)}",
            f"tick lateness p99 {number('tick_lateness_ms_p99', ' ms', 1)}",
        ]
    )


def joints(figure: Figure, recording: Recording, duration: float) -> None:
    """Eight rows over one time axis."""
    by_velocity = len(recording.velocity_commands) >= len(recording.position_commands)
    commands = recording.velocity_commands if by_velocity else recording.position_commands
    command_times = np.array([time for time, _ in commands])
    commanded = np.array([values for _, values in commands]).reshape(-1, 7)
    times = np.array(recording.measured_times)
    measured = np.array(recording.velocities if by_velocity else recording.positions).reshape(-1, 8)
    opening = np.array(recording.positions).reshape(-1, 8)[:, 7] * 1e3
    gripper = np.array(recording.gripper_commands).reshape(-1, 2)

    grid = figure.add_gridspec(8, 1, left=0.075, right=0.645, top=0.868, bottom=0.058, hspace=0.30)
    axes = grid.subplots(sharex=True)
    unit = "rad/s" if by_velocity else "rad"
    for joint, axis in enumerate(axes[:7]):
        series(axis, command_times, commanded[:, joint], times, measured[:, joint])
        span(axis, np.concatenate([commanded[:, joint], measured[:, joint]]), 0.1)
        axis.set_ylabel(f"joint {joint + 1}\n{unit}", rotation=0, ha="right", va="center", labelpad=8)
    series(axes[7], gripper[:, 0], gripper[:, 1] * 1e3, times, opening)
    axes[7].set_ylim(-4, 44)
    axes[7].set_yticks([0, 20, 40])
    axes[7].set_ylabel("gripper\nmm", rotation=0, ha="right", va="center", labelpad=8)

    # With a chunk every tick the lines would cover everything: the more, the fainter.
    alpha = float(np.clip(25 / max(1, len(recording.chunks)), 0.12, 0.9))
    for axis in axes:
        axis.vlines(recording.chunks, 0, 1, transform=axis.get_xaxis_transform(), color=BOUNDARY, lw=0.9, alpha=alpha, zorder=0)
        axis.set_xlim(0, duration)
        axis.margins(x=0)
    axes[7].set_xlabel("time since the first chunk, s")
    handles = [
        plt.Line2D([], [], color=COMMANDED, lw=3, label="commanded"),
        plt.Line2D([], [], color=MEASURED, lw=1.6, label="measured"),
        plt.Line2D([], [], color=BOUNDARY, lw=1.2, label="a new chunk"),
    ]
    axes[0].legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1.02), ncols=3, frameon=False, fontsize=10)
    figure.text(0.075, 0.882, "Joint velocities" if by_velocity else "Joint positions", fontsize=12, fontweight="bold")


def series(axis, command_times, commanded, times, measured) -> None:
    """A command holds until the next one."""
    axis.step(command_times, commanded, where="post", color=COMMANDED, lw=2.4, zorder=2)
    axis.plot(times, measured, color=MEASURED, lw=0.9, zorder=3)


def span(axis, values: np.ndarray, least: float) -> None:
    """Limits around the values, at least `least` wide, so that noise about a constant does not fill the panel."""
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    middle, half = (low + high) / 2, max((high - low) / 2 * 1.15, least / 2)
    axis.set_ylim(middle - half, middle + half)
    axis.locator_params(axis="y", nbins=4)


def cameras(figure: Figure, recording: Recording) -> None:
    """Both views, one above the other."""
    when = "" if recording.picture_time is None else f" at {recording.picture_time:.1f} s"
    for row, (camera, label) in enumerate((("exterior", "Exterior camera"), ("wrist", "Wrist camera"))):
        # 4:3 at 0.298 of 1600 px; top and bottom are the joints' own.
        axis = figure.add_axes((0.672, 0.5104 - row * 0.4524, 0.298, 0.3576))
        axis.set_xticks([])
        axis.set_yticks([])
        for side in axis.spines.values():
            side.set_visible(True)
        figure.text(0.672, 0.882 - row * 0.4524, f"{label}{when}", fontsize=12, fontweight="bold")
        if camera in recording.pictures:
            axis.imshow(recording.pictures[camera], interpolation="lanczos")
        else:
            axis.text(0.5, 0.5, "no picture received", ha="center", va="center", transform=axis.transAxes, color=QUIET)
