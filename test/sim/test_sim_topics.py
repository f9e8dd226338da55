"""The ROS interface of the arm in real time: names, types, quality of service, stamps.

The tests compare stamps, never the wall clock of the machine.
"""

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from robot_process import ArmClient, RobotProcess, nanoseconds, start
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sim.kinematics import FINGERS, JOINTS

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = ("exterior", "wrist")


@pytest.fixture
def client():
    with ArmClient("/cell") as client:
        yield client


def stamps_of(messages: list) -> list[int]:
    return [nanoseconds(message.header.stamp) for message in messages]


def collect(client: ArmClient, topics: dict[str, type], count: int) -> dict[str, list]:
    """Waits for at least `count` messages of each topic, received with the sensor data QoS profile."""
    seen: dict[str, list] = {topic: [] for topic in topics}
    for topic, kind in topics.items():
        client.node.create_subscription(kind, topic, seen[topic].append, qos_profile_sensor_data)
    client.wait_until(lambda: all(len(messages) >= count for messages in seen.values()))
    return seen


def test_a_late_subscriber_receives_the_urdf(client):
    with RobotProcess("--namespace", "/cell"):
        collect(client, {"joint_states": JointState}, 1)
        received = []
        qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        client.node.create_subscription(String, "robot_description", received.append, qos)
        client.wait_until(lambda: received)
        assert received[0].data == (ROOT / "sim" / "gazebo" / "arm.urdf").read_text()


def test_topics_types_and_qos_are_those_of_a_gazebo_bridge_and_ros2_control(client):
    with RobotProcess("--namespace", "/cell"):
        collect(client, {"exterior_camera/image_raw": Image, "joint_states": JointState}, 1)
        types = dict(client.node.get_topic_names_and_types())
        expected = {
            "/cell/exterior_camera/image_raw": "sensor_msgs/msg/Image",
            "/cell/exterior_camera/camera_info": "sensor_msgs/msg/CameraInfo",
            "/cell/wrist_camera/image_raw": "sensor_msgs/msg/Image",
            "/cell/wrist_camera/camera_info": "sensor_msgs/msg/CameraInfo",
            "/cell/joint_states": "sensor_msgs/msg/JointState",
            "/cell/robot_description": "std_msgs/msg/String",
            "/clock": "rosgraph_msgs/msg/Clock",
            "/cell/arm_velocity_controller/commands": "std_msgs/msg/Float64MultiArray",
            "/cell/arm_controller/joint_trajectory": "trajectory_msgs/msg/JointTrajectory",
            "/cell/gripper_controller/commands": "std_msgs/msg/Float64MultiArray",
        }
        assert {topic: types.get(topic) for topic in expected} == {topic: [kind] for topic, kind in expected.items()}
        assert not any("compressed" in topic for topic in types)
        for camera in CAMERAS:
            (info,) = client.node.get_publishers_info_by_topic(f"/cell/{camera}_camera/image_raw")
            assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_both_cameras_have_the_same_stamps_at_30_hz_and_joints_are_published_at_100_hz(client):
    with RobotProcess("--namespace", "/cell") as robot:
        topics = {f"{camera}_camera/image_raw": Image for camera in CAMERAS}
        seen = collect(client, topics | {"joint_states": JointState}, 20)
        # Wait for two successive messages at the nominal rate; a busy machine may lose some.
        client.wait_until(lambda: 33_333_333 in np.diff(stamps_of(seen["exterior_camera/image_raw"])))
        client.wait_until(lambda: 10_000_000 in np.diff(stamps_of(seen["joint_states"])))
        status, _ = robot.end(signal.SIGTERM)
    assert status == 0
    stamps = {topic: stamps_of(messages) for topic, messages in seen.items()}
    images = [stamps[topic] for topic in topics]
    assert len(set(images[0]) & set(images[1])) >= 10
    # A busy machine may lose or drop messages. Those that arrive have stamps that are multiples of the period.
    for stamp in images[0] + images[1]:
        assert stamp == round(stamp * 30 / 1e9) * 1_000_000_000 // 30
    for stamp in stamps["joint_states"]:
        assert stamp % 10_000_000 == 0
    for times in stamps.values():
        assert (np.diff(times) > 0).all()


def test_the_fields_of_all_messages_are_filled(client):
    with RobotProcess("--namespace", "/cell"):
        topics = {f"{camera}_camera/image_raw": Image for camera in CAMERAS}
        topics |= {f"{camera}_camera/camera_info": CameraInfo for camera in CAMERAS} | {"joint_states": JointState}
        seen = collect(client, topics, 1)
    for camera in CAMERAS:
        image, info = seen[f"{camera}_camera/image_raw"][0], seen[f"{camera}_camera/camera_info"][0]
        assert (image.width, image.height, image.step, image.encoding) == (640, 480, 1920, "rgb8")
        assert len(image.data) == 480 * 1920
        pixels = np.asarray(image.data).reshape(480, 640, 3)
        # A red, a green and a blue block are visible in every image.
        for channel in range(3):
            others = np.delete(pixels, channel, axis=2).max(axis=2).astype(int)
            assert (pixels[:, :, channel] - others > 50).sum() > 150, f"{camera}, channel {channel}"
        assert (info.width, info.height) == (640, 480)
        assert info.header.frame_id == image.header.frame_id == f"{camera}_camera_optical_frame"
        # For vertical fields of view of 45 and 76 degrees.
        focal = {"exterior": 579.41, "wrist": 307.19}[camera]
        assert info.k.tolist() == pytest.approx([focal, 0, 320, 0, focal, 240, 0, 0, 1], abs=0.01)
    joints = seen["joint_states"][0]
    assert joints.name == [*JOINTS, *FINGERS]
    assert len(joints.position) == len(joints.velocity) == len(joints.effort) == 9


def test_with_compressed_there_are_jpeg_images_of_the_same_content(client):
    with RobotProcess("--namespace", "/cell", "--lockstep", "--compressed"):
        seen = collect(client, {"wrist_camera/image_raw/compressed": CompressedImage, "wrist_camera/image_raw": Image}, 1)
    jpeg, raw = seen["wrist_camera/image_raw/compressed"][0], seen["wrist_camera/image_raw"][0]
    assert nanoseconds(jpeg.header.stamp) == nanoseconds(raw.header.stamp)
    decoded = np.asarray(PillowImage.open(io.BytesIO(jpeg.data.tobytes())), dtype=int)
    assert np.abs(decoded - np.asarray(raw.data).reshape(480, 640, 3)).mean() < 2


def test_the_arm_follows_a_trajectory_and_matches_joints_by_name(client):
    target = np.array([0.15, -0.4, 0.1, -2.2, 0.1, 1.8, 0.6])
    publisher = client.node.create_publisher(JointTrajectory, "arm_controller/joint_trajectory", 10)
    seen: list[JointState] = []
    client.node.create_subscription(JointState, "joint_states", seen.append, 10)
    with RobotProcess("--namespace", "/cell"):
        client.wait_until(lambda: publisher.get_subscription_count() and seen)
        point = JointTrajectoryPoint(positions=target[::-1].tolist())
        point.time_from_start.nanosec = 500_000_000
        publisher.publish(JointTrajectory(joint_names=list(reversed(JOINTS)), points=[point]))
        client.wait_until(lambda: np.abs(np.array(seen[-1].position[:7]) - target).max() < 2e-3)


def test_a_command_of_the_wrong_length_is_rejected_with_a_sentence(client):
    with RobotProcess("--namespace", "/cell") as robot:
        client.wait_until(lambda: client.velocity_publisher.get_subscription_count() and client.clock_times)
        client.command([0.1] * 6)
        before = client.clock_times[-1]
        client.wait_until(lambda: client.clock_times[-1] > before + 200_000_000)
        status, errors = robot.end()
    assert status == 0
    assert "Expected 7 values, received 6 from arm_velocity_controller/commands" in errors


def test_without_opengl_it_ends_with_the_remedy_in_one_sentence():
    process = start("sim.robot", env=os.environ | {"MUJOCO_GL": "none of these"})
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert line.startswith("ENVIRONMENT: Expected off-screen OpenGL (MUJOCO_GL=none of these) for the cameras")
    assert line.endswith("sudo apt-get install libegl1 libopengl0 libgl1-mesa-dri")
