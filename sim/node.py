"""The ROS node of the simulated arm: its publishers and command subscriptions. clock.py decides when to publish."""

import array
import io
import threading

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from sim.arm import Arm, JointReadings
from sim.cameras import HEIGHT, WIDTH, Cameras
from sim.description.urdf import urdf
from sim.errors import CommandRejected
from sim.kinematics import FINGERS, JOINTS
from sim.topics import (
    CAMERAS,
    COMMANDS,
    GRIPPER,
    ROBOT_DESCRIPTION,
    ROBOT_DESCRIPTION_QOS,
    TRAJECTORY,
    VELOCITY,
    nanoseconds,
    ros_time,
)

# As ros_gz_bridge publishes; reliable matches best-effort subscriptions too.
SENSOR_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
# Commands are few and small; a deep queue keeps them all when the process is busy.
COMMAND_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)


class RobotNode(Node):
    """Applies each command to the arm when it arrives, on the thread of the executor and with `arm_lock` held.

    `command_counts` counts the messages of each command topic; `command_arrived` is notified after each. While
    `accepts_commands` is false, messages are counted but not applied.
    """

    def __init__(self, arm: Arm, namespace: str, compressed: bool) -> None:
        super().__init__("simulated_arm", namespace=namespace, start_parameter_services=False)
        self.arm = arm
        self.arm_lock = threading.Lock()
        self.now = 0  # ns, simulation time
        self.accepts_commands = True
        self.command_counts = dict.fromkeys(COMMANDS, 0)
        self.command_arrived = threading.Condition()
        description = self.create_publisher(String, ROBOT_DESCRIPTION, ROBOT_DESCRIPTION_QOS)
        description.publish(String(data=urdf()))
        self._clock = self.create_publisher(Clock, "/clock", SENSOR_QOS)
        self._joints = self.create_publisher(JointState, "joint_states", SENSOR_QOS)
        self._reading = JointState(name=list(JOINTS + FINGERS))
        self._reading.header.frame_id = "panda_link0"
        self._cameras = {camera: CameraTopics(self, camera, compressed) for camera in CAMERAS}
        self.images = {camera: topics.pixels for camera, topics in self._cameras.items()}
        self.create_subscription(Float64MultiArray, VELOCITY, self._on_velocity, COMMAND_QOS)
        self.create_subscription(JointTrajectory, TRAJECTORY, self._on_trajectory, COMMAND_QOS)
        self.create_subscription(Float64MultiArray, GRIPPER, self._on_gripper, COMMAND_QOS)

    def set_intrinsics(self, cameras: Cameras) -> None:
        """Fills the CameraInfo messages. Call it once, before the first image."""
        for camera, topics in self._cameras.items():
            topics.set_intrinsics(*cameras.intrinsics(camera))

    def publish_clock(self, now: int) -> None:
        self._clock.publish(Clock(clock=ros_time(now)))

    def publish_joints(self, now: int, readings: JointReadings) -> None:
        message = self._reading
        message.header.stamp = ros_time(now)
        message.position = array.array("d", readings.position)
        message.velocity = array.array("d", readings.velocity)
        message.effort = array.array("d", readings.effort)
        self._joints.publish(message)

    def publish_images(self, now: int) -> None:
        """Publishes `images` of both cameras with the same stamp."""
        for topics in self._cameras.values():
            topics.publish(ros_time(now))

    def _on_velocity(self, message: Float64MultiArray) -> None:
        self._apply_command(VELOCITY, lambda: self.arm.control.set_velocity(message.data, VELOCITY))

    def _on_trajectory(self, message: JointTrajectory) -> None:
        points = [(nanoseconds(point.time_from_start), point.positions) for point in message.points]
        stamp = nanoseconds(message.header.stamp)
        self._apply_command(
            TRAJECTORY,
            lambda: self.arm.control.set_trajectory(self.now, stamp, message.joint_names, points, TRAJECTORY),
        )

    def _on_gripper(self, message: Float64MultiArray) -> None:
        self._apply_command(GRIPPER, lambda: self.arm.gripper.set_position(message.data, GRIPPER))

    def _apply_command(self, topic: str, apply) -> None:
        try:
            with self.arm_lock:
                if self.accepts_commands:
                    apply()
        except CommandRejected as rejected:
            self.get_logger().warning(str(rejected), throttle_duration_sec=1.0)
        with self.command_arrived:
            self.command_counts[topic] += 1
            self.command_arrived.notify_all()


class CameraTopics:
    """The publishers of one camera: image, camera info and, with `compressed`, JPEG.

    `pixels` is a view of the data of the image message: rendering into it saves a copy and rclpy's check of each element.
    """

    def __init__(self, node: Node, camera: str, compressed: bool) -> None:
        topic = f"{camera}_camera"
        frame = f"{topic}_optical_frame"
        self._image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
        self._image.header.frame_id = frame
        self._image.data = array.array("B", bytes(3 * WIDTH * HEIGHT))
        self.pixels = np.frombuffer(self._image.data, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
        self._info = CameraInfo(height=HEIGHT, width=WIDTH, distortion_model="plumb_bob", d=[0.0] * 5)
        self._info.header.frame_id = frame
        self._image_publisher = node.create_publisher(Image, f"{topic}/image_raw", SENSOR_QOS)
        self._info_publisher = node.create_publisher(CameraInfo, f"{topic}/camera_info", SENSOR_QOS)
        self._jpeg_publisher = None
        if compressed:
            self._jpeg = CompressedImage(format="rgb8; jpeg compressed bgr8")
            self._jpeg.header.frame_id = frame
            self._jpeg_publisher = node.create_publisher(CompressedImage, f"{topic}/image_raw/compressed", SENSOR_QOS)

    def set_intrinsics(self, focal: float, cx: float, cy: float) -> None:
        self._info.k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
        self._info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        self._info.p = [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0]

    def publish(self, stamp: Time) -> None:
        self._info.header.stamp = self._image.header.stamp = stamp
        self._info_publisher.publish(self._info)
        self._image_publisher.publish(self._image)
        if self._jpeg_publisher:
            self._jpeg.header.stamp = stamp
            self._jpeg.data = array.array("B", jpeg(self.pixels))
            self._jpeg_publisher.publish(self._jpeg)


def jpeg(pixels: np.ndarray) -> bytes:
    """The JPEG file of an rgb image [height, width, 3]."""
    from PIL import Image as PillowImage

    out = io.BytesIO()
    PillowImage.fromarray(pixels).save(out, "JPEG", quality=90)
    return out.getvalue()
