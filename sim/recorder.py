"""Records what the plot, the GIF and the summary need from the topics of the policy node and the arm.

Time is simulation time, in ns. Commands and chunks are recorded at the newest stamp of all messages: commands have none.
"""

import functools
import math
import struct
from dataclasses import dataclass, field, replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sim.episode_report import EpisodeReport
from sim.film import Film, Frame
from sim.kinematics import FINGERS, JOINTS
from sim.topics import CAMERAS, EPISODE, EPISODE_QOS, GRIPPER, TRAJECTORY, VELOCITY, nanoseconds

# Best effort matches every publisher. The queue is deep because this process has one thread.
RECORD_QOS = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
IMAGE_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass
class Recording:
    """What was received since the begin of the recording. Times in s since then, unless they are in ns."""

    begin: int | None = None  # ns
    end: int | None = None  # ns, of the recording

    measured_times: list[float] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)  # [8] rad, m
    velocities: list[np.ndarray] = field(default_factory=list)  # [8] rad/s, m/s
    velocity_commands: list[tuple[float, np.ndarray]] = field(default_factory=list)  # [7] rad/s
    position_commands: list[tuple[float, np.ndarray]] = field(default_factory=list)  # [7] rad
    gripper_commands: list[tuple[float, float]] = field(default_factory=list)  # m
    chunks: list[float] = field(default_factory=list)
    episodes: list[EpisodeReport] = field(default_factory=list)
    film: Film = field(default_factory=Film)
    diagnostics: dict[str, str] = field(default_factory=dict)

    def span(self, episode: EpisodeReport) -> tuple[float, float]:
        """Begin and end of an episode in s; while it runs, it ends with the recording."""
        return (episode.begin - self.begin) / 1e9, ((episode.end or self.end) - self.begin) / 1e9

    def strips(self) -> list[EpisodeReport]:
        """What the plot shows as film strips: the episodes, or the whole recording as one without a prompt."""
        begin, end = self.begin, self.end
        whole = EpisodeReport(0, 1, prompt="", seed=0, task=None, begin=begin, end=end)
        return [replace(episode, end=episode.end or end) for episode in self.episodes] or [whole]

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
    """Fills `recording` from the first chunk on; with `by_episodes`, from the first episode on.

    `policy`: name of the policy node.
    """

    def __init__(self, namespace: str, policy: str, by_episodes: bool = False) -> None:
        super().__init__("recorder", namespace=namespace, start_parameter_services=False)
        self.recording = Recording()
        self.now: int | None = None  # ns, stamp of the last joint state
        self._newest = (
            0  # ns, newest stamp; later than `now` if this process is slow, because the queues of images are short
        )
        self.diagnostics_count = 0  # statuses of the policy node
        self._by_episodes = by_episodes
        self._policy = self.resolve_topic_name(policy)
        self._images: dict[str, bytes] = {}  # serialised, by camera, of the same stamp
        self._image_stamp = 0  # ns
        self.create_subscription(JointState, "joint_states", self._on_joints, RECORD_QOS)
        self.create_subscription(JointTrajectory, f"{self._policy}/chunk", self._on_chunk, RECORD_QOS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RECORD_QOS)
        self.create_subscription(Float64MultiArray, VELOCITY, self._on_velocity, RECORD_QOS)
        self.create_subscription(JointTrajectory, TRAJECTORY, self._on_trajectory, RECORD_QOS)
        self.create_subscription(Float64MultiArray, GRIPPER, self._on_gripper, RECORD_QOS)
        self.create_subscription(String, EPISODE, self._on_episode, EPISODE_QOS)
        for camera in CAMERAS:
            on_image = functools.partial(self._on_image, camera)
            self.create_subscription(Image, f"{camera}_camera/image_raw", on_image, IMAGE_QOS, raw=True)

    @property
    def elapsed(self) -> float | None:
        """s of simulation time from the begin of the recording to the last joint state; None before it."""
        return None if self.now is None else self._since_begin(self.now)

    def _since_begin(self, time: int) -> float | None:
        return None if self.recording.begin is None else (time - self.recording.begin) / 1e9

    def _on_image(self, camera: str, message: bytes) -> None:
        """Adds a frame to the film when one is due. Only then the images are deserialised: 30 per second would take too long."""
        stamp = stamp_of(message)
        self._newest = max(self._newest, stamp)
        if self.recording.begin is None or not self.recording.film.is_due(stamp):
            return
        if stamp != self._image_stamp:
            self._image_stamp, self._images = stamp, {}
        self._images[camera] = message
        if len(self._images) == len(CAMERAS):
            self.recording.film.add(Frame(stamp, *(pixels(self._images[camera]) for camera in CAMERAS)))

    def _on_episode(self, message: String) -> None:
        episode = EpisodeReport.from_json(message.data)
        if self._by_episodes and self.recording.begin is None:
            self.recording.begin = episode.begin
        self.recording.episodes = [*self.recording.episodes[: episode.index], episode]

    def _on_joints(self, message: JointState) -> None:
        self.now = nanoseconds(message.header.stamp)
        self._newest = max(self._newest, self.now)
        if self.elapsed is None or self.elapsed < 0:
            return
        order = [message.name.index(joint) for joint in (*JOINTS, FINGERS[0])]
        self.recording.measured_times.append(self.elapsed)
        self.recording.positions.append(np.array(message.position)[order])
        self.recording.velocities.append(np.array(message.velocity)[order])

    def _on_chunk(self, message: JointTrajectory) -> None:
        if self.now is None:
            return
        if self.recording.begin is None:
            if self._by_episodes:
                return
            self.recording.begin = self._newest
        self.recording.chunks.append(self._since_begin(self._newest))

    def _on_velocity(self, message: Float64MultiArray) -> None:
        if self.elapsed is not None and len(message.data) == len(JOINTS):
            self.recording.velocity_commands.append((self._since_begin(self._newest), np.array(message.data)))

    def _on_trajectory(self, message: JointTrajectory) -> None:
        if self.elapsed is None or not message.points or set(JOINTS) != set(message.joint_names):
            return
        order = [message.joint_names.index(joint) for joint in JOINTS]
        positions = np.array(message.points[0].positions)
        if len(positions) == len(order):
            self.recording.position_commands.append((self._since_begin(self._newest), positions[order]))

    def _on_gripper(self, message: Float64MultiArray) -> None:
        if self.elapsed is not None and len(message.data) == 1:
            self.recording.gripper_commands.append((self._since_begin(self._newest), float(message.data[0])))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._policy or status.name.startswith(f"{self._policy}:"):
                self.diagnostics_count += 1
                self.recording.diagnostics.update({item.key: item.value for item in status.values})


def stamp_of(message: bytes) -> int:
    """The stamp of a serialised image, ns. It follows the 4 bytes that tell the byte order, which is that of this machine."""
    sec, nanosec = struct.unpack_from("=iI", message, 4)
    return sec * 1_000_000_000 + nanosec


def pixels(message: bytes) -> np.ndarray:
    """The pixels of a serialised rgb8 image, uint8 [height, width, 3]."""
    image = deserialize_message(message, Image)
    return np.asarray(image.data, dtype=np.uint8).reshape(image.height, image.width, 3)
