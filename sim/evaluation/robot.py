"""The ROS node of the simulated arm during an evaluation: applies a control, counts chunks and the node's refusals."""

import threading
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from sim.arm import JointReadings
from sim.clock import await_commands
from sim.episode import EpisodeRun
from sim.evaluation.controls import Control
from sim.evaluation.video import Frames
from sim.kinematics import JOINTS
from sim.node import COMMAND_QOS, RobotNode
from sim.scene import Scene
from sim.topics import nanoseconds

STOP_ACTION_WAIT = 5.0  # s of wall time; a node that has stopped by itself before sends no stop action

DIAGNOSTICS_WAIT = 5.0  # s of wall time
COUNTERS = ("commands.", "refused.", "fault.")
SEAMS = ("seams", "seam_jump_max", "seam_disagreement_rms", "jerk_rms", "jerk_max", "idle_steps")


class EvaluatedRobot(RobotNode):
    """Applies commands only between `begin` and `finish`, which start and end an episode."""

    def __init__(self, scene: Scene, namespace: str, policy: str) -> None:
        super().__init__(scene, namespace, compressed=False)
        self.accepts_commands = False
        self.chunk_count = 0
        self.frames: Frames | None = None
        self._run: EpisodeRun | None = None
        self._control: Control | None = None
        self._policy = self.resolve_topic_name(policy)
        self._diagnosed = threading.Condition()
        self._diagnostics: dict[str, str] = {}  # of the policy node, by key
        self.seams: dict[str, float] = {}
        """Those of the last episode (`motion` in /diagnostics), by key; set by `await_counters`."""
        self._counters: dict[str, int] = {}  # of the policy node, at the end of the previous episode
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, COMMAND_QOS)
        self.create_subscription(JointTrajectory, f"{policy}/chunk", self._on_chunk, COMMAND_QOS)

    def begin(self, run: EpisodeRun, control: Control, frames: Frames | None) -> None:
        """Starts an episode. `frames` receives its images."""
        with self.arm_lock:
            self._run, self._control, self.frames, self.chunk_count = run, control, frames, 0
            self.accepts_commands = True
        with self._diagnosed:
            self._diagnostics = {}

    def finish(self) -> dict[str, int]:
        """Returns the command counts, for `await_stop_action`."""
        with self.arm_lock:
            self.accepts_commands = False
            return dict(self.command_counts)

    def await_stop_action(self, stop: threading.Event, topics: list[str], counts: dict[str, int]) -> None:
        """Waits for the commands with which the node stopped, so that they do not count as commands of the next episode.

        Call it after the node was deactivated.
        """
        await_commands(self, stop, topics, counts, time.monotonic() + STOP_ACTION_WAIT)

    def await_counters(self) -> dict | None:
        """What the policy node counted during the episode, or None if it publishes no diagnostics.

        Returns {"holds": n, "refused": {code: n}, "faults": {code: n}}. Call it after the node was deactivated.
        """
        with self._diagnosed:
            if not self._diagnosed.wait_for(lambda: self._diagnostics.get("state") == "inactive", DIAGNOSTICS_WAIT):
                return None
            counters = {key: int(value) for key, value in self._diagnostics.items() if key.startswith(COUNTERS)}
            self.seams = {key: float(value) for key, value in self._diagnostics.items() if key in SEAMS}
        changes = {key: value - self._counters.get(key, 0) for key, value in counters.items()}
        self._counters = counters

        def with_prefix(prefix: str) -> dict[str, int]:
            return {key.removeprefix(prefix): n for key, n in sorted(changes.items()) if key.startswith(prefix) and n}

        return {"holds": changes.get("commands.hold", 0), "refused": with_prefix("refused."), "faults": with_prefix("fault.")}

    def publish_images(self, now: int) -> None:
        if self._control:
            self._control.change_images(self.images)
        if self.frames:
            self.frames.add(now, self.images)
        super().publish_images(now)

    def publish_joints(self, now: int, readings: JointReadings) -> None:
        super().publish_joints(now, self._control.change_readings(readings) if self._control else readings)

    def _on_velocity(self, message: Float64MultiArray) -> None:
        if self.accepts_commands and self._run and len(message.data) == len(JOINTS):
            self._run.velocities.append(np.array(message.data))
        super()._on_velocity(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        statuses = [status for status in message.status if status.name.startswith(f"{self._policy}: ")]
        with self._diagnosed:
            self._diagnostics |= {item.key: item.value for status in statuses for item in status.values}
            self._diagnosed.notify_all()

    def _on_chunk(self, message: JointTrajectory) -> None:
        if self._run and nanoseconds(message.header.stamp) > self._run.episode.start:
            self.chunk_count += 1
