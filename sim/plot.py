"""Draws a recording as a PNG, 1600 pixels wide: a film strip for each episode above the commanded and measured joints."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from sim.drawing import FAMILY, MUTED, NUMBER, TEXT, palette_of, with_palette
from sim.episode_report import LINGER
from sim.recorder import Recording
from sim.strips import POINT, draw_strips, place_text, strips_height

WIDTH, MARGIN = 1600, 32  # px
CONTENT_WIDTH = WIDTH - 2 * MARGIN
HEADER_HEIGHT, JOINTS_HEIGHT = 122, 630  # px
COMMANDED, MEASURED, BOUNDARY, EPISODE = "#f6a98e", "#0f4c66", "#9aa5b1", "#eef3f7"
LABEL = {"rotation": 0, "ha": "right", "va": "center", "labelpad": 10, "fontsize": 16 * POINT}
STYLE = {
    "font.family": FAMILY,
    "font.size": 14 * POINT,
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
    height = HEADER_HEIGHT + strips_height(CONTENT_WIDTH, len(recording.strips())) + JOINTS_HEIGHT
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(WIDTH / 100, height / 100), dpi=100, facecolor="white")
        place_text(figure, MARGIN, height - 42, title, 34, TEXT, fontweight="bold")
        place_text(figure, MARGIN, height - 88, headline(summary), 19, MUTED)
        draw_strips(figure, recording.film, recording.strips(), MARGIN, HEADER_HEIGHT, CONTENT_WIDTH)
        plot_joints(figure, recording, summary["duration"])
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
        with_palette(Image.fromarray(pixels), palette_of([pixels], 256)).save(path, optimize=True)
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
    """Eight rows with one time axis at the lower edge: 7 joints and the gripper. `duration` in s."""
    by_velocity = len(recording.velocity_commands) >= len(recording.position_commands)
    commands = recording.velocity_commands if by_velocity else recording.position_commands
    command_times = np.array([time for time, _ in commands])
    commanded = while_in_control(recording, command_times, np.array([values for _, values in commands]).reshape(-1, 7))
    times = np.array(recording.measured_times)
    positions = while_in_control(recording, times, np.array(recording.positions).reshape(-1, 8))
    velocities = while_in_control(recording, times, np.array(recording.velocities).reshape(-1, 8))
    measured = velocities if by_velocity else positions
    gripper_times, openings = np.array(recording.gripper_commands).reshape(-1, 2).T
    openings = while_in_control(recording, gripper_times, openings[:, None])[:, 0]

    height = figure.bbox.height
    left = (MARGIN + 104) / WIDTH
    grid = figure.add_gridspec(
        8, 1, left=left, right=1 - MARGIN / WIDTH, top=(JOINTS_HEIGHT - 66) / height, bottom=66 / height, hspace=0.16
    )
    axes = grid.subplots(sharex=True)
    for joint, axis in enumerate(axes[:7]):
        plot_series(axis, command_times, commanded[:, joint], times, measured[:, joint])
        set_limits(axis, np.concatenate([commanded[:, joint], measured[:, joint]]), 0.1)
        axis.set_ylabel(f"joint {joint + 1}", **LABEL)
    plot_series(axes[7], gripper_times, openings * 1e3, times, positions[:, 7] * 1e3)
    axes[7].set_ylim(-6, 46)
    axes[7].set_yticks([0, 40])
    axes[7].set_ylabel("gripper\nmm", **LABEL)

    # The more chunks there are, the fainter their lines: with a chunk per tick they would cover everything.
    alpha = float(np.clip(25 / max(1, len(recording.chunks)), 0.12, 0.9))
    for axis in axes:
        axis.vlines(
            recording.chunks, 0, 1, transform=axis.get_xaxis_transform(), color=BOUNDARY, lw=0.9, alpha=alpha, zorder=0
        )
        for episode in recording.episodes:
            axis.axvspan(*recording.span(episode), color=EPISODE, lw=0, zorder=-1)
        axis.set_xlim(0, duration)
        axis.margins(x=0)
    label_episodes(axes[0], recording)
    axes[7].set_xlabel("time, s", fontsize=16 * POINT)
    handles = [
        plt.Line2D([], [], color=COMMANDED, lw=3, label="commanded"),
        plt.Line2D([], [], color=MEASURED, lw=1.6, label="measured"),
        plt.Line2D([], [], color=BOUNDARY, lw=1.2, label="new chunk"),
    ]
    place = (1 - MARGIN / WIDTH, (JOINTS_HEIGHT - 8) / height)
    figure.legend(
        handles=handles, loc="upper right", bbox_to_anchor=place, ncols=3, frameon=False, fontsize=17 * POINT, borderpad=0
    )
    name = "Joint velocities, rad/s" if by_velocity else "Joint positions, rad"
    place_text(figure, MARGIN, JOINTS_HEIGHT - 20, name, 23, TEXT, fontweight="bold")


def while_in_control(recording: Recording, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values [n, …], nan at times at which the arm ignores the policy: between two episodes."""
    if not recording.episodes:
        return values
    spans = [recording.span(episode) for episode in recording.episodes]
    in_control = np.any([(begin <= times) & (times <= end + LINGER / 1e9) for begin, end in spans], axis=0)
    return np.where(in_control[:, None], values, np.nan)


def label_episodes(axis, recording: Recording) -> None:
    """The number of each episode above the middle of its time."""
    for episode in recording.episodes:
        middle = sum(recording.span(episode)) / 2
        badge = {"boxstyle": "circle,pad=0.25", "facecolor": NUMBER, "edgecolor": "none"}
        axis.annotate(
            str(episode.index + 1), (middle, 1), (0, 11), xycoords=axis.get_xaxis_transform(), textcoords="offset points",
            ha="center", va="center_baseline", color="white", fontsize=14 * POINT, fontweight="bold", bbox=badge,
        )  # fmt: skip


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
