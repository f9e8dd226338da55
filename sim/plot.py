"""Draws a recording as a PNG of 1600×1000 pixels: commanded and measured joints, chunk boundaries, both camera views."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from sim.recorder import Recording

COMMANDED, MEASURED, BOUNDARY, TEXT, MUTED = "#f6a98e", "#0f4c66", "#9aa5b1", "#1f2933", "#6b7785"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": "#c5ced8",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelcolor": TEXT,
    "text.color": TEXT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
}


def draw(recording: Recording, summary: dict, title: str, path: str) -> None:
    """Writes the PNG to `path`. Shows joint velocities if most commands are velocities, else positions.

    `summary`: see sim/README.md.
    """
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(16, 10), dpi=100, facecolor="white")
        figure.text(0.03, 0.962, title, fontsize=19, fontweight="bold", va="center")
        figure.text(0.03, 0.926, headline(summary), fontsize=12, color=MUTED, va="center")
        plot_joints(figure, recording, summary["duration"])
        show_images(figure, recording)
        figure.savefig(path)
        plt.close(figure)


def headline(summary: dict) -> str:
    """The counts and times of the run in one line."""

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


def plot_joints(figure: Figure, recording: Recording, duration: float) -> None:
    """Eight rows with one time axis: 7 joints and the gripper. `duration` in s."""
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
        plot_series(axis, command_times, commanded[:, joint], times, measured[:, joint])
        set_limits(axis, np.concatenate([commanded[:, joint], measured[:, joint]]), 0.1)
        axis.set_ylabel(f"joint {joint + 1}\n{unit}", rotation=0, ha="right", va="center", labelpad=8)
    plot_series(axes[7], gripper[:, 0], gripper[:, 1] * 1e3, times, opening)
    axes[7].set_ylim(-4, 44)
    axes[7].set_yticks([0, 20, 40])
    axes[7].set_ylabel("gripper\nmm", rotation=0, ha="right", va="center", labelpad=8)

    # The more chunks there are, the fainter their lines: with a chunk per tick they would cover everything.
    alpha = float(np.clip(25 / max(1, len(recording.chunks)), 0.12, 0.9))
    for axis in axes:
        axis.vlines(recording.chunks, 0, 1, transform=axis.get_xaxis_transform(), color=BOUNDARY, lw=0.9, alpha=alpha, zorder=0)
        axis.set_xlim(0, duration)
        axis.margins(x=0)
    axes[7].set_xlabel("time since the first chunk, s")
    handles = [
        plt.Line2D([], [], color=COMMANDED, lw=3, label="commanded"),
        plt.Line2D([], [], color=MEASURED, lw=1.6, label="measured"),
        plt.Line2D([], [], color=BOUNDARY, lw=1.2, label="new chunk"),
    ]
    axes[0].legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1.02), ncols=3, frameon=False, fontsize=10)
    figure.text(0.075, 0.882, "Joint velocities" if by_velocity else "Joint positions", fontsize=12, fontweight="bold")


def plot_series(axis, command_times, commanded, times, measured) -> None:
    """A command is valid until the next one."""
    axis.step(command_times, commanded, where="post", color=COMMANDED, lw=2.4, zorder=2)
    axis.plot(times, measured, color=MEASURED, lw=0.9, zorder=3)


def set_limits(axis, values: np.ndarray, min_height: float) -> None:
    """Sets the y limits around the values, at least `min_height` apart, so that noise does not fill the panel."""
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    middle, half = (low + high) / 2, max((high - low) / 2 * 1.15, min_height / 2)
    axis.set_ylim(middle - half, middle + half)
    axis.locator_params(axis="y", nbins=4)


def show_images(figure: Figure, recording: Recording) -> None:
    """The images of both cameras, one above the other."""
    when = "" if recording.image_time is None else f" at {recording.image_time:.1f} s"
    for row, (camera, label) in enumerate((("exterior", "Exterior camera"), ("wrist", "Wrist camera"))):
        # Width 0.298 of 1600 px at 4:3; top and bottom are aligned with the joint plots.
        axis = figure.add_axes((0.672, 0.5104 - row * 0.4524, 0.298, 0.3576))
        axis.set_xticks([])
        axis.set_yticks([])
        for side in axis.spines.values():
            side.set_visible(True)
        figure.text(0.672, 0.882 - row * 0.4524, f"{label}{when}", fontsize=12, fontweight="bold")
        if camera in recording.images:
            axis.imshow(recording.images[camera], interpolation="lanczos")
        else:
            axis.text(0.5, 0.5, "no image received", ha="center", va="center", transform=axis.transAxes, color=MUTED)
