"""The stop action: the last message when the node is deactivated, shut down or ended by a signal. The guard repeats it."""

import signal
import time

import pytest
from harness import ARM, PERIOD, RELIABLE, REST
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

ZEROS = [0.0] * 7


@pytest.fixture
def moving(sim_node, robot):
    """Starts a node that has published some commands. Its clock does not advance, so it has no further control ticks.

    Joint states may be 4 ticks old, since a message can arrive after its tick when the machine is busy. A machine that needs
    so long for a tick that the robot is stopped (CLOCK_STILL) gets further ones.
    """

    def moving(**changes):
        node = sim_node(schedule__replan_steps=2, state__max_age=0.3, **changes)
        robot.first_chunk()

        def tick():
            robot.advance()
            robot.send_set()
            robot.wait_until_processed()

        moves = lambda: len(robot.arm) >= 4 and list(robot.arm[-1].data) != ZEROS
        robot.wait_until(moves, "motion", repeat=tick)
        return node

    return moving


def all_arm_commands(robot):
    """All arm commands of the node: waits until a sentinel message, which the test publishes after them, has arrived."""
    publisher = robot.ros.create_publisher(Float64MultiArray, "arm_velocity_controller/commands", 10)
    robot.wait_until(lambda: publisher.get_subscription_count() > 0, "the subscription of the robot")
    sentinel = Float64MultiArray(data=[123.0])
    robot.wait_until(lambda: sentinel in robot.arm, "the sentinel", repeat=lambda: publisher.publish(sentinel))
    robot.ros.destroy_publisher(publisher)
    return [list(m.data) for m in robot.arm if m != sentinel]


def assert_only_stop_actions_after(before, robot):
    """Waits for all arm commands: those of `before`, and then the stop action, once or more often."""
    # Messages of other publishers may arrive after the sentinel.
    robot.wait_until(lambda: len(robot.arm) > len(before), "the stop action")
    commands = all_arm_commands(robot)
    assert commands[: len(before)] == before
    rest = commands[len(before) :]
    assert rest and all(command == ZEROS for command in rest), rest


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)
def test_a_signal_ends_it_with_status_0_after_the_stop_action(signum, moving, robot):
    node = moving()
    before = [list(m.data) for m in robot.arm]
    assert before and before[-1] != ZEROS
    gripper = [list(m.data) for m in robot.gripper]
    assert node.stop(signum) == 0
    assert_only_stop_actions_after(before, robot)
    robot.wait_until(lambda: len(robot.gripper) > len(gripper), "the gripper's last command")
    assert all(list(m.data) == gripper[-1] for m in robot.gripper[len(gripper) :])


def test_two_signals_at_once_have_the_effect_of_one(moving, robot):
    node = moving()
    before = [list(m.data) for m in robot.arm]
    node.process.send_signal(signal.SIGINT)
    assert node.stop() == 0
    assert_only_stop_actions_after(before, robot)


def test_after_deactivate_there_is_nothing_but_the_stop_action_also_with_a_later_signal(moving, robot):
    node = moving()
    before = [list(m.data) for m in robot.arm]
    assert robot.change_state("deactivate")
    robot.advance(3)
    robot.send_set()
    assert robot.change_state("cleanup")
    assert node.stop() == 0
    assert_only_stop_actions_after(before, robot)


def test_after_a_new_activation_it_publishes_commands_again(moving, robot):
    moving()
    assert robot.change_state("deactivate")
    robot.wait_until_processed()
    count, chunks = len(robot.arm), len(robot.chunks)
    robot.advance(3)
    robot.send_set()
    robot.wait_until_processed()
    assert len(robot.chunks) == chunks and all(list(m.data) == ZEROS for m in robot.arm[count:])
    assert robot.change_state("activate")
    robot.wait_until(lambda: len(robot.chunks) > chunks, "a chunk", repeat=robot.send_next_set)
    robot.wait_until(
        lambda: list(robot.arm[-1].data) != ZEROS, "a step", repeat=lambda: (robot.advance(), robot.send_joints(REST))
    )


def test_the_lifecycle_shutdown_publishes_the_stop_action(moving, robot):
    node = moving()
    before = [list(m.data) for m in robot.arm]
    assert robot.change_state("active_shutdown")
    assert robot.state() == "finalized"
    assert node.stop() == 0
    assert_only_stop_actions_after(before, robot)


@pytest.mark.parametrize("kind", [{"kind": "position"}, {"kind": "velocity", "max_velocity": 3.0}], ids=lambda k: k["kind"])
def test_position_outputs_hold_the_measured_positions(kind, sim_node, robot):
    positions = {f"action__{joint}__{key}": value for joint in ARM for key, value in kind.items()}
    node = sim_node(
        outputs__arm__topic="arm_controller/joint_trajectory",
        outputs__arm__type="joint_trajectory",
        schedule__replan_steps=2,
        **positions,
    )
    robot.wait_until(lambda: robot.trajectories, "a trajectory", repeat=lambda: (robot.advance(), robot.send_set()))
    measured = [0.1, -0.6, 0.2, -2.1, 0.05, 1.5, 0.7, 0.01]
    robot.now += 1_000_000
    robot.send_joints(measured)
    robot.wait_until_processed()
    count = len(robot.trajectories)
    assert node.stop() == 0
    robot.wait_until(lambda: len(robot.trajectories) > count, "the stop action")
    for trajectory in robot.trajectories[count:]:
        (point,) = trajectory.points
        assert list(point.positions) == measured[:7]


def test_a_signal_before_the_first_message_ends_it_with_status_0(start, robot):
    node = start()
    robot.wait_for_state("active")
    assert node.stop() == 0
    assert robot.arm == []


def test_in_lock_step_a_stopped_robot_gets_the_stop_action_at_each_tick(moving, robot):
    moving(schedule__lockstep=True)
    assert robot.call(Trigger, "policy_node/stop", Trigger.Request()).success
    robot.wait_until(lambda: list(robot.arm[-1].data) == ZEROS, "the stop action")
    for _ in range(3):
        count = len(robot.arm)
        robot.now += PERIOD
        robot.send_clock()
        robot.send_set()
        robot.wait_until(lambda: len(robot.arm) > count, "the command of the tick")
        assert list(robot.arm[-1].data) == ZEROS


def test_in_lock_step_each_tick_has_the_stop_action_while_joints_are_in_doubt(moving, robot):
    moving(schedule__lockstep=True)
    elsewhere = [position + 900.0 for position in REST]
    for _ in range(4):
        count = len(robot.arm)
        robot.now += PERIOD
        robot.send_clock()
        robot.send_set(positions=elsewhere)
        robot.wait_until(lambda: len(robot.arm) > count, "the command of the tick")
        assert list(robot.arm[-1].data) == ZEROS


def test_two_clocks_stop_the_robot_until_one_is_left(moving, robot):
    node = moving()
    other = robot.ros.create_publisher(Clock, "/clock", RELIABLE)
    robot.wait_until(lambda: other.get_subscription_count() >= 2, "the subscriptions of the node and the guard")

    def advance():
        robot.advance()
        robot.send_set()
        robot.wait_until_processed()

    for _ in range(4):
        began, count = time.monotonic(), len(robot.arm)
        other.publish(Clock(clock=robot.stamp(-200_000_000)))
        robot.wait_until_processed()
        while time.monotonic() - began < 0.5:
            advance()
        # After a second without a jump the robot may move again.
        if time.monotonic() - began < 0.9:
            assert all(list(m.data) == ZEROS for m in robot.arm[count:])
    node.wait_for_log("CLOCK_SHARED: ")
    robot.ros.destroy_publisher(other)
    robot.wait_until(lambda: list(robot.arm[-1].data) != ZEROS, "motion", repeat=advance)
