"""The simulated arm's ROS side: what it publishes and the commands it takes. When, is pacing.py's business."""

import array
import io
import threading

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from sim.arm import Arm, JointReadings
from sim.cameras import HEIGHT, WIDTH, Cameras
from sim.failure import Rejected
from sim.kinematics import FINGERS, JOINTS
from sim.topics import CAMERAS, COMMANDS, GRIPPER, TRAJECTORY, VELOCITY, nanoseconds, ros_time

# A ros_gz bridge offers reliable, depth 10: best-effort and reliable subscribers both match.
OFFER = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
# Commands are few and small; none may be lost to a busy moment.
ACCEPT = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)


class RobotNode(Node):
    """Commands go to the arm as they come, on the executor's thread, under `arm_lock`; `commanded` counts them by topic."""

    def __init__(self, arm: Arm, namespace: str, compressed: bool) -> None:
        super().__init__("simulated_arm", namespace=namespace, start_parameter_services=False)
        self.arm = arm
        self.arm_lock = threading.Lock()
        self.now = 0  # ns, simulation time
        self.commanded = dict.fromkeys(COMMANDS, 0)
        self.command_arrived = threading.Condition()
        self._clock = self.create_publisher(Clock, "/clock", OFFER)
        self._joints = self.create_publisher(JointState, "joint_states", OFFER)
        self._reading = JointState(name=list(JOINTS + FINGERS))
        self._reading.header.frame_id = "panda_link0"
        self._cameras = {camera: CameraTopics(self, camera, compressed) for camera in CAMERAS}
        self.pictures = {camera: topics.pixels for camera, topics in self._cameras.items()}
        self.create_subscription(Float64MultiArray, VELOCITY, self._on_velocity, ACCEPT)
        self.create_subscription(JointTrajectory, TRAJECTORY, self._on_trajectory, ACCEPT)
        self.create_subscription(Float64MultiArray, GRIPPER, self._on_gripper, ACCEPT)

    def calibrate(self, cameras: Cameras) -> None:
        """Once, before the first picture."""
        for camera, topics in self._cameras.items():
            topics.calibrate(*cameras.intrinsics(camera))

    def publish_clock(self, now: int) -> None:
        self._clock.publish(Clock(clock=ros_time(now)))

    def publish_joints(self, now: int, readings: JointReadings) -> None:
        message = self._reading
        message.header.stamp = ros_time(now)
        message.position = array.array("d", readings.position)
        message.velocity = array.array("d", readings.velocity)
        message.effort = array.array("d", readings.effort)
        self._joints.publish(message)

    def publish_pictures(self, now: int) -> None:
        """Both cameras' `pictures`, under one stamp."""
        for topics in self._cameras.values():
            topics.publish(ros_time(now))

    def _on_velocity(self, message: Float64MultiArray) -> None:
        self._take(VELOCITY, lambda: self.arm.control.set_velocity(message.data, VELOCITY))

    def _on_trajectory(self, message: JointTrajectory) -> None:
        points = [(nanoseconds(point.time_from_start), point.positions) for point in message.points]
        stamp = nanoseconds(message.header.stamp)
        self._take(
            TRAJECTORY,
            lambda: self.arm.control.set_trajectory(self.now, stamp, message.joint_names, points, TRAJECTORY),
        )

    def _on_gripper(self, message: Float64MultiArray) -> None:
        self._take(GRIPPER, lambda: self.arm.gripper.set(message.data, GRIPPER))

    def _take(self, topic: str, apply) -> None:
        try:
            with self.arm_lock:
                apply()
        except Rejected as rejected:
            self.get_logger().warning(str(rejected), throttle_duration_sec=1.0)
        with self.command_arrived:
            self.commanded[topic] += 1
            self.command_arrived.notify_all()


class CameraTopics:
    """One camera's picture, calibration and, where asked for, JPEG. `pixels` is what is published next: the message's own
    bytes, so that nothing is copied or checked element by element on the way out."""

    def __init__(self, node: Node, camera: str, compressed: bool) -> None:
        topic = f"{camera}_camera"
        frame = f"{topic}_optical_frame"
        self._image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
        self._image.header.frame_id = frame
        self._image.data = array.array("B", bytes(3 * WIDTH * HEIGHT))
        self.pixels = np.frombuffer(self._image.data, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
        self._info = CameraInfo(height=HEIGHT, width=WIDTH, distortion_model="plumb_bob", d=[0.0] * 5)
        self._info.header.frame_id = frame
        self._image_publisher = node.create_publisher(Image, f"{topic}/image_raw", OFFER)
        self._info_publisher = node.create_publisher(CameraInfo, f"{topic}/camera_info", OFFER)
        self._jpeg_publisher = None
        if compressed:
            self._jpeg = CompressedImage(format="rgb8; jpeg compressed bgr8")
            self._jpeg.header.frame_id = frame
            self._jpeg_publisher = node.create_publisher(CompressedImage, f"{topic}/image_raw/compressed", OFFER)

    def calibrate(self, focal: float, cx: float, cy: float) -> None:
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
    """rgb [height, width, 3] as JPEG."""
    from PIL import Image as Picture

    out = io.BytesIO()
    Picture.fromarray(pixels).save(out, "JPEG", quality=90)
    return out.getvalue()
