"""Joints from several topics and publishers, and a gripper that is a number, end to end."""

import math

import rclpy
from harness import JOINTS, REST, random_image
from refusal_checks import refusal_count
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

WIDTH, COMMAND = "gripper/width", "gripper/command"
ARM = JOINTS[:7]


def send_images(robot):
    for camera in ("exterior", "wrist"):
        robot.send_image(camera, random_image(len(camera)))


def test_a_gripper_on_topics_of_its_own_is_read_and_commanded_as_a_number(start, robot):
    finger = {f"state__{JOINTS[7]}__{key}": value for key, value in {"source": "data", "topic": WIDTH}.items()}
    start(use_sim_time=True, outputs__gripper__topic=COMMAND, outputs__gripper__type="float64", **finger)
    width = robot.ros.create_publisher(Float64, WIDTH, 10)
    commands = []
    robot.record(Float64, COMMAND, commands)
    robot.wait_for_state("active")

    def send():
        robot.advance()
        send_images(robot)
        robot.send_joints(REST[:7], names=ARM)
        width.publish(Float64(data=REST[7]))

    robot.wait_until(lambda: commands and robot.chunks and robot.arm, "chunks and commands of arm and gripper", repeat=send)
    assert all(math.isfinite(command.data) for command in commands)
    assert all(count == 2 for count in (width.get_subscription_count(), robot.joints.get_subscription_count()))
    assert not robot.gripper


def test_two_publishers_that_contradict_each_other_are_named_and_nothing_moves_until_one_has_gone(sim_node, robot):
    sim_node(schedule__replan_steps=1, **{f"action__{JOINTS[3]}__max_velocity": 2.0})
    robot.first_chunk()
    robot.next_chunk()
    stray = rclpy.create_node("joint_state_publisher", namespace=robot.namespace, context=robot.ros.context)
    zeros = stray.create_publisher(JointState, "joint_states", 10)

    def send():
        robot.advance()
        send_images(robot)
        message = JointState(name=JOINTS, position=[0.0] * len(JOINTS))
        message.header.stamp = robot.stamp(1000)
        zeros.publish(message)
        robot.wait_until_processed()
        robot.send_joints(REST, offset=2000)

    names = [f"{robot.namespace}/{node.get_name()}" for node in (robot.ros, stray)]
    inputs = lambda: [s for s in robot.statuses(f"{robot.namespace}/policy_node") if s[0] == "inputs" and "JOINT_JUMP" in s[2]]
    named = lambda: any(level == b"\x01" and all(name in text for name in names) for _, level, text, _ in inputs())
    robot.wait_until(named, "a warning that names both publishers", repeat=send)
    robot.wait_until_processed()
    count = len(robot.chunks)
    for _ in range(5):
        send()
    robot.wait_until_processed()
    assert len(robot.chunks) == count
    robot.wait_until(lambda: refusal_count(robot, "JOINT_JUMP") > 5, "the count of the refused joint states")
    stray.destroy_node()
    robot.next_chunk()
