"""Records what the plot and the summary need from the topics of the policy node and the arm.

Time is the stamp of the joint states, in ns. Commands have no stamp; they get that of the last joint state.
"""

import functools
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

# Best effort matches every publisher. The queue is deep because this process has one thread.
RECORD_QOS = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
IMAGE_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass
class Recording:
    """What was received since the first chunk. Times in s since then."""

    measured_times: list[float] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)  # [8] rad, m
    velocities: list[np.ndarray] = field(default_factory=list)  # [8] rad/s, m/s
    velocity_commands: list[tuple[float, np.ndarray]] = field(default_factory=list)  # [7] rad/s
    position_commands: list[tuple[float, np.ndarray]] = field(default_factory=list)  # [7] rad
    gripper_commands: list[tuple[float, float]] = field(default_factory=list)  # m
    chunks: list[float] = field(default_factory=list)
    images: dict[str, np.ndarray] = field(default_factory=dict)  # by camera, uint8 [h, w, 3]
    image_time: float | None = None
    diagnostics: dict[str, str] = field(default_factory=dict)

    @property
    def commands(self) -> int:
        """The number of commands to the arm."""
        return len(self.velocity_commands) + len(self.position_commands)

    def number(self, key: str) -> float | None:
        """A number from the diagnostics of the node; None if it is absent or not finite."""
        try:
            value = float(self.diagnostics[key])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) else None

    def integer(self, key: str) -> int | None:
        value = self.number(key)
        return None if value is None else int(value)

    def refused(self) -> dict[str, int] | None:
        """The number of refusals by code; None before the node has published diagnostics of its inputs."""
        if "observations" not in self.diagnostics:
            return None
        prefix = "refused."
        codes = sorted(key for key in self.diagnostics if key.startswith(prefix))
        return {key[len(prefix) :]: self.integer(key) or 0 for key in codes}

    def last_refusal(self) -> str | None:
        """`CODE: sentence`."""
        code = self.diagnostics.get("last_refusal.code")
        return f"{code}: {self.diagnostics.get('last_refusal.message', '')}" if code else None


class Recorder(Node):
    """Fills `recording` from the first chunk on. `policy`: name of the policy node."""

    def __init__(self, namespace: str, policy: str) -> None:
        super().__init__("recorder", namespace=namespace, start_parameter_services=False)
        self.recording = Recording()
        self.now: int | None = None  # ns, stamp of the newest joint state
        self.begin: int | None = None  # ns, time of the first chunk
        self.diagnostics_count = 0  # statuses of the policy node
        self._policy = self.resolve_topic_name(policy)
        self._images_by_stamp: dict[int, dict[str, np.ndarray]] = {}
        self._camera_subscriptions: list = []
        self.create_subscription(JointState, "joint_states", self._on_joints, RECORD_QOS)
        self.create_subscription(JointTrajectory, f"{self._policy}/chunk", self._on_chunk, RECORD_QOS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RECORD_QOS)
        self.create_subscription(Float64MultiArray, VELOCITY, self._on_velocity, RECORD_QOS)
        self.create_subscription(JointTrajectory, TRAJECTORY, self._on_trajectory, RECORD_QOS)
        self.create_subscription(Float64MultiArray, GRIPPER, self._on_gripper, RECORD_QOS)

    @property
    def elapsed(self) -> float | None:
        """s of simulation time since the first chunk; None before it."""
        if self.now is None or self.begin is None:
            return None
        return (self.now - self.begin) / 1e9

    def subscribe_cameras(self) -> None:
        """Subscribes to the cameras until there is one image of each with the same stamp."""
        if self._camera_subscriptions or self.recording.images:
            return
        for camera in CAMERAS:
            topic = f"{camera}_camera/image_raw"
            on_image = functools.partial(self._on_image, camera)
            self._camera_subscriptions.append(self.create_subscription(Image, topic, on_image, IMAGE_QOS))

    def _on_image(self, camera: str, message: Image) -> None:
        if self.recording.images:
            return
        stamp = nanoseconds(message.header.stamp)
        images = self._images_by_stamp.setdefault(stamp, {})
        images[camera] = np.asarray(message.data, dtype=np.uint8).reshape(message.height, message.width, 3)
        if len(images) == len(CAMERAS):
            self.recording.images = images
            self.recording.image_time = (stamp - self.begin) / 1e9 if self.begin else None

    def unsubscribe_cameras(self) -> None:
        """Ends the subscriptions once the images are there. Must not be called in a callback."""
        if self.recording.images:
            while self._camera_subscriptions:
                self.destroy_subscription(self._camera_subscriptions.pop())
            self._images_by_stamp.clear()

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
                self.diagnostics_count += 1
                self.recording.diagnostics.update({item.key: item.value for item in status.values})
