"""The simulated arm with the scripted expert, whose plans are made uncertain: the flow about two ways to do the task."""

import numpy as np

from sim.episode import EpisodeRun, deal
from sim.expert import HORIZON, PERIOD, VELOCITY_SCALE, expert_chunk, expert_state
from sim.scene import Scene
from sim.seams.conditions import Condition
from sim.seams.flow import chunk_of
from sim.seams.measure import SeamMeter

TASKS = ("pick",)
WAY = 0.05  # rad/s, the largest difference of each way from the expert's plan


def plans_of(scene: Scene, task, known: np.ndarray) -> np.ndarray:
    """The expert's plan after the `known` rows [d, 7], in two ways [2, HORIZON, 7] that leave it to opposite sides and return."""
    prefix = np.zeros((1, max(1, len(known)), 8))
    prefix[0, : len(known), :7] = known
    plan = expert_chunk(expert_state([scene], [task]), prefix, np.array([len(known)]))[0, :, :7]
    rows = np.arange(HORIZON) - len(known)
    bend = np.where(rows >= 0, np.sin(2 * np.pi * np.maximum(rows, 0) / HORIZON), 0.0)[:, None] * WAY / VELOCITY_SCALE
    moving = np.abs(plan).max(axis=1, keepdims=True) > 1e-6
    signs = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
    return np.stack([plan + bend * signs * moving, plan - bend * signs * moving])


def run(condition: Condition, index: int, scene: Scene) -> dict:
    """One episode. `tracking` is the root mean square of measured minus commanded joint velocity, rad/s."""
    episode = deal(TASKS, 0, index)
    episode_run = EpisodeRun(scene, episode)
    execution = condition.execution(lambda: episode_run.next_tick)
    meter = SeamMeter(execution)
    errors, ended = [], False
    while not ended:
        if execution.wants_observation:
            gripper = expert_chunk(expert_state([scene], [episode.task]))[0, :, 7]
            execution.submit(
                chunk_of(
                    lambda known: plans_of(scene, episode.task, known),
                    gripper,
                    episode_run.next_tick,
                    0,
                    execution.continuation,
                )
            )
        meter.before_command()
        command, finger = execution.command()
        meter.after_command(command)
        scene.control.set_velocity(command, "seams")
        scene.gripper.set_position([finger], "seams")
        before = np.array(scene.joint_positions)
        ended = episode_run.advance()
        errors.append((np.array(scene.joint_positions) - before) / PERIOD - command)
    return {
        **meter.result(),
        "tracking": float(np.sqrt(np.mean(np.square(errors)))),
        "success": episode_run.verdict == "success",
    }
