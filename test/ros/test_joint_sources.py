"""Joints from several topics and publishers, and a gripper that is a number, end to end."""

import math
import os
import signal
from pathlib import Path

import rclpy
from harness import JOINTS, PERIOD, REST, random_image
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


def test_a_tick_uses_the_joint_states_that_were_published_before_it_also_after_a_pause_of_the_node(sim_node, robot):
    node = sim_node(schedule__replan_steps=2)
    robot.next_chunk()
    robot.wait_until(lambda: robot.arm and any(robot.arm[-1].data), "motion", repeat=lambda: (robot.advance(), robot.send_set()))
    robot.wait_until_processed()
    pid, count = node.process.pid, len(robot.arm)
    os.kill(pid, signal.SIGSTOP)
    robot.wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", "its pause")
    # Three ticks: the first ones of these are too old at the last of them.
    for _ in range(30):
        robot.now += PERIOD // 10
        robot.send_joints(REST)
    robot.send_clock()
    os.kill(pid, signal.SIGCONT)
    robot.wait_until(lambda: len(robot.arm) > count, "the command of the tick")
    assert any(robot.arm[count].data) and "STATE_LOST" not in node.log, node.log
