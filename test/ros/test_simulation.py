"""The node with the simulated arm of sim/, which is an independent process."""

import signal

import numpy as np
from harness import ARM, DEADLINE, PERIOD, RATE, Robot, chunk_values, nanoseconds
from sensor_msgs.msg import JointState

CHUNKS = 6


def test_two_runs_in_lockstep_give_the_same_chunks_bit_for_bit(simulation, start, context, namespace):
    def run():
        robot = Robot(context, namespace)
        arm = None
        try:
            node = start(use_sim_time=True, schedule__lockstep=True, schedule__replan_steps=3)
            robot.wait_for_state("active")
            topics = ["policy_node/chunk", "arm_velocity_controller/commands", "gripper_controller/commands"]
            robot.wait_until(lambda: all(robot.ros.count_publishers(t) for t in topics), "its publishers")
            arm = simulation()
            robot.wait_until(lambda: len(robot.chunks) >= CHUNKS, "chunks")
            assert node.stop() == 0
            arm.send_signal(signal.SIGINT)
            arm.wait(DEADLINE)
            chunks = robot.chunks[:CHUNKS]
            return [nanoseconds(c.header.stamp) for c in chunks], [chunk_values(c) for c in chunks]
        finally:
            robot.close()

    (stamps, chunks), (stamps_again, chunks_again) = run(), run()
    assert stamps == stamps_again
    assert np.array_equal(chunks, chunks_again)
    assert not np.array_equal(chunks[0], chunks[1])


def test_a_joint_trajectory_controller_follows_integrated_velocities(simulation, start, robot):
    states, max_speed, replan_steps = [], 0.3, 3
    robot.record(JointState, "joint_states", states)
    speeds = {"scale": max_speed, "max_velocity": 0.5}
    limits = {f"action__{joint}__{key}": value for joint in ARM for key, value in speeds.items()}
    arm = simulation()
    node = start(
        autostart=False,
        use_sim_time=True,
        schedule__lockstep=True,
        schedule__mode="sync",
        schedule__replan_steps=replan_steps,
        outputs__arm__topic="arm_controller/joint_trajectory",
        outputs__arm__type="joint_trajectory",
        outputs__arm__stamp="now",
        **limits,
    )
    # The arm repeats its first tick until the node answers. Activate the node only when all subscriptions have matched.
    assert robot.change_state("configure")
    topics = ["joint_states", "policy_node/chunk", "arm_controller/joint_trajectory"]
    subscriptions = [s for s in robot.ros.subscriptions if any(s.topic_name.endswith(f"/{topic}") for topic in topics)]
    assert len(subscriptions) == len(topics)
    robot.wait_until(lambda: states and all(s.get_publisher_count() > 0 for s in subscriptions), f"publishers of {topics}")
    assert robot.change_state("activate")
    steps = CHUNKS * replan_steps
    robot.wait_until(lambda: len(robot.chunks) > CHUNKS and len(robot.trajectories) > steps, "chunks and commands")
    assert node.stop() == 0
    arm.send_signal(signal.SIGINT)
    arm.wait(DEADLINE)

    measured = {nanoseconds(s.header.stamp): np.array([s.position[s.name.index(j)] for j in ARM]) for s in states}
    begin = nanoseconds(robot.chunks[0].header.stamp)
    commands = [c for c in robot.trajectories if nanoseconds(c.header.stamp) >= begin][:steps]
    assert all(c.joint_names == ARM and len(c.points) == 1 for c in commands)
    assert all(not c.points[0].velocities and nanoseconds(c.points[0].time_from_start) == PERIOD for c in commands)
    times = [nanoseconds(c.header.stamp) for c in commands]
    positions = np.array([c.points[0].positions for c in commands])

    # From the first chunk on, each tick executes a row: the first rows of each chunk, integrated from the measured position. The
    # guard may not have discovered this subscription yet when it sends the first commands.
    velocities = np.concatenate([chunk_values(chunk)[:replan_steps, :7] for chunk in robot.chunks])
    expected = measured[begin] + np.cumsum(velocities, axis=0) / RATE
    first = (times[0] - begin) // PERIOD
    assert times == [begin + (first + step) * PERIOD for step in range(steps)]
    np.testing.assert_allclose(positions, expected[first : first + steps], rtol=0, atol=1e-9)

    # The arm lags by less than one tick at the largest velocity. An arm that does not move would lag by more.
    lags = [np.abs(position - measured[time]).max() for position, time in zip(positions, times[1:], strict=False)]
    assert max(lags) < max_speed / RATE
    assert np.abs(positions[:-1] - measured[begin]).max() > 2 * max_speed / RATE
