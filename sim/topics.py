"""Names of the cameras and topics; conversion between ROS times and integer nanoseconds."""

from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy, QoSProfile

CAMERAS = ("exterior", "wrist")
VELOCITY = "arm_velocity_controller/commands"
TRAJECTORY = "arm_controller/joint_trajectory"
GRIPPER = "gripper_controller/commands"
COMMANDS = (VELOCITY, TRAJECTORY, GRIPPER)
ROBOT_DESCRIPTION = "robot_description"
# As robot_state_publisher: a subscriber that starts later receives it too.
ROBOT_DESCRIPTION_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
EPISODE = "episode"
# A recorder that starts later receives the episodes before it too.
EPISODE_QOS = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def ros_time(ns: int) -> Time:
    return Time(sec=ns // 1_000_000_000, nanosec=ns % 1_000_000_000)


def nanoseconds(stamp) -> int:
    """ns of a builtin_interfaces Time or Duration."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec
