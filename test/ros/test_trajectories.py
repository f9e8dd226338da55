"""Outputs that get whole chunks as trajectories, which a controller executes by itself, and outputs between the control ticks."""

import os
import signal
import time

import numpy as np
from harness import ARM, PERIOD, RATE, REST, nanoseconds
from live_robot import LiveRobot

TRAJECTORY = {
    "outputs__arm__topic": "arm_controller/joint_trajectory",
    "outputs__arm__type": "joint_trajectory_chunk",
    **{f"action__{joint}__kind": "position" for joint in ARM},
}


def test_a_chunk_is_one_trajectory_and_the_stop_action_of_a_policy_that_is_killed_is_one_point(sim_node, robot):
    node = sim_node(schedule__replan_steps=12, schedule__max_chunk_age=5.0, **TRAJECTORY)
    robot.wait_until(lambda: robot.chunks, "a chunk", repeat=robot.send_next_set)
    robot.wait_until_processed()
    before = len(robot.gripper)
    for tick in range(1, 6):
        robot.advance()
        robot.send_joints(REST)
        robot.wait_until_processed()
        robot.wait_until(lambda: len(robot.gripper) >= before + tick, f"tick {tick}")
    (chunk,) = robot.chunks
    (trajectory,) = robot.trajectories
    assert trajectory.joint_names == ARM and nanoseconds(trajectory.header.stamp) == 0
    positions = np.array([point.positions for point in trajectory.points])
    assert np.array_equal(positions, np.array([point.positions for point in chunk.points])[:, :7])
    starts = [nanoseconds(point.time_from_start) for point in trajectory.points]
    assert starts == [PERIOD * (i + 1) for i in range(len(positions))]
    assert not any(len(point.velocities) for point in trajectory.points)

    os.kill(node.process.pid, signal.SIGKILL)
    robot.wait_until(lambda: len(robot.trajectories) > 1, "the stop action")
    for stop in robot.trajectories[1:]:
        (point,) = stop.points
        assert nanoseconds(stop.header.stamp) == 0 and list(point.positions) == REST[:7]


def test_with_an_output_rate_there_are_messages_between_the_ticks_and_none_after_the_stop_action(start, robot):
    with LiveRobot(robot) as live:
        node = start(output_rate=100.0)

        def interpolated():
            """Whether some period of the control rate had at least three messages."""
            times = live.motion_since(0)
            return any(last - first < 1 / RATE for first, last in zip(times, times[2:], strict=False))

        live.wait_until(interpolated, "messages between two control ticks")
        os.kill(node.process.pid, signal.SIGKILL)
        killed = time.monotonic()
        first = live.wait_until(lambda: live.stops_since(killed), "the stop action")[0]
        live.wait_until(lambda: len(live.stops_since(killed)) > 10, "the repetition of the stop action")
        assert live.motion_since(first) == []
