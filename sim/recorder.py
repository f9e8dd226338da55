"""An observer of the policy node and the arm: keeps what the picture and the summary need. Time is the joint states' stamp,
ns; messages without one (commands) get that of the last joint state before them."""

import math
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from sim.kinematics import FINGERS, JOINTS
from sim.topics import CAMERAS, GRIPPER, TRAJECTORY, VELOCITY, nanoseconds

# Best effort matches every publisher; deep, because one thread of Python may be busy for a moment.
OBSERVE = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
LATEST = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass
class Recording:
    """What was seen from the first chunk on. Times in s since then."""

    measured_times: list[float] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)  # [8] rad, m
    velocities: list[np.ndarray] = field(default_factory=list)  # [8] rad/s, m/s
    velocity_commands: list[tuple[float, np.ndarray]] = field(default_factory=list)  # [7] rad/s
    position_commands: list[tuple[float, np.ndarray]] = field(default_factory=list)  # [7] rad
    gripper_commands: list[tuple[float, float]] = field(default_factory=list)  # m
    chunks: list[float] = field(default_factory=list)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)  # camera → uint8 [h, w, 3]
    picture_time: float | None = None
    diagnostics: dict[str, str] = field(default_factory=dict)

    @property
    def commands(self) -> int:
        """Commands to the arm."""
        return len(self.velocity_commands) + len(self.position_commands)

    def number(self, key: str) -> float | None:
        """A number of the node's diagnostics; None where it has not said it."""
        try:
            value = float(self.diagnostics[key])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) else None

    def whole(self, key: str) -> int | None:
        value = self.number(key)
        return None if value is None else int(value)

    def refused(self) -> dict[str, int] | None:
        """Refusals by code; None before the node spoke of its inputs."""
        if "observations" not in self.diagnostics:
            return None
        prefix = "refused."
        codes = sorted(key for key in self.diagnostics if key.startswith(prefix))
        return {key[len(prefix) :]: self.whole(key) or 0 for key in codes}

    def last_refusal(self) -> str | None:
        """`CODE: sentence`."""
        code = self.diagnostics.get("last_refusal.code")
        return f"{code}: {self.diagnostics.get('last_refusal.message', '')}" if code else None


class Recorder(Node):
    """Records into `recording` from the first chunk on."""

    def __init__(self, namespace: str, policy: str) -> None:
        super().__init__("recorder", namespace=namespace, start_parameter_services=False)
        self.recording = Recording()
        self.now: int | None = None  # ns, the newest joint state's stamp
        self.begin: int | None = None  # ns, of the first chunk
        self.heard_diagnostics = 0
        self._policy = self.resolve_topic_name(policy)
        self._views: dict[int, dict[str, np.ndarray]] = {}
        self._cameras: list = []
        self.create_subscription(JointState, "joint_states", self._on_joints, OBSERVE)
        self.create_subscription(JointTrajectory, f"{self._policy}/chunk", self._on_chunk, OBSERVE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, OBSERVE)
        self.create_subscription(Float64MultiArray, VELOCITY, self._on_velocity, OBSERVE)
        self.create_subscription(JointTrajectory, TRAJECTORY, self._on_trajectory, OBSERVE)
        self.create_subscription(Float64MultiArray, GRIPPER, self._on_gripper, OBSERVE)

    @property
    def elapsed(self) -> float | None:
        """s of simulation since the first chunk; None before it."""
        if self.now is None or self.begin is None:
            return None
        return (self.now - self.begin) / 1e9

    def take_pictures(self) -> None:
        """Keeps the next picture of each camera that share a stamp; until then the cameras are not listened to."""
        if self._cameras or self.recording.pictures:
            return
        for camera in CAMERAS:
            self._cameras.append(
                self.create_subscription(Image, f"{camera}_camera/image_raw", lambda m, c=camera: self._on_image(c, m), LATEST)
            )

    def _on_image(self, camera: str, message: Image) -> None:
        if self.recording.pictures:
            return
        stamp = nanoseconds(message.header.stamp)
        views = self._views.setdefault(stamp, {})
        views[camera] = np.asarray(message.data, dtype=np.uint8).reshape(message.height, message.width, 3)
        if len(views) == len(CAMERAS):
            self.recording.pictures = views
            self.recording.picture_time = (stamp - self.begin) / 1e9 if self.begin else None

    def drop_cameras(self) -> None:
        """Stops listening once the pictures are there; not from within a callback."""
        if self.recording.pictures:
            while self._cameras:
                self.destroy_subscription(self._cameras.pop())
            self._views.clear()

    def _on_joints(self, message: JointState) -> None:
        self.now = nanoseconds(message.header.stamp)
        if self.elapsed is None or self.elapsed < 0:
            return
        order = [message.name.index(joint) for joint in (*JOINTS, FINGERS[0])]
        self.recording.measured_times.append(self.elapsed)
        self.recording.positions.append(np.array(message.position)[order])
        self.recording.velocities.append(np.array(message.velocity)[order])

    def _on_chunk(self, message: JointTrajectory) -> None:
        if self.now is None:
            return
        if self.begin is None:
            self.begin = self.now
        self.recording.chunks.append(self.elapsed)

    def _on_velocity(self, message: Float64MultiArray) -> None:
        if self.elapsed is not None and len(message.data) == len(JOINTS):
            self.recording.velocity_commands.append((self.elapsed, np.array(message.data)))

    def _on_trajectory(self, message: JointTrajectory) -> None:
        if self.elapsed is None or not message.points or set(JOINTS) != set(message.joint_names):
            return
        order = [message.joint_names.index(joint) for joint in JOINTS]
        positions = np.array(message.points[0].positions)
        if len(positions) == len(order):
            self.recording.position_commands.append((self.elapsed, positions[order]))

    def _on_gripper(self, message: Float64MultiArray) -> None:
        if self.elapsed is not None and len(message.data) == 1:
            self.recording.gripper_commands.append((self.elapsed, float(message.data[0])))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._policy or status.name.startswith(f"{self._policy}:"):
                self.heard_diagnostics += 1
                self.recording.diagnostics.update({item.key: item.value for item in status.values})
