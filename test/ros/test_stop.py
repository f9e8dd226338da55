import signal

import pytest
from harness import ARM, REST
from std_msgs.msg import Float64MultiArray

ZEROS = [0.0] * 7


@pytest.fixture
def moving(sim_node, robot):
    """A node that has sent some steps; its clock stands still, so that it sends nothing by itself."""

    def moving(**changes):
        node = sim_node(schedule__replan_steps=2, **changes)
        robot.first_chunk()
        for _ in range(4):
            robot.advance()
            robot.send_set()
            robot.settle()
        return node

    return moving


def everything(robot, topic, kind=Float64MultiArray):
    """Spins until a message of our own on `topic` has come back: what the node had sent before came first."""
    publisher = robot.ros.create_publisher(kind, topic, 10)
    robot.until(lambda: publisher.get_subscription_count() > 0, "ourselves")
    sentinel = kind(data=[123.0])
    heard = robot.arm
    robot.until(lambda: sentinel in heard, "the sentinel", again=lambda: publisher.publish(sentinel))
    robot.ros.destroy_publisher(publisher)
    return [list(m.data) for m in heard if m != sentinel]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_ends_it_with_status_0_and_the_stop_action_last_and_once(number, moving, robot):
    node = moving()
    before = [list(m.data) for m in robot.arm]
    assert before and before[-1] != ZEROS
    gripper = [list(m.data) for m in robot.gripper]
    assert node.stop(number) == 0
    assert everything(robot, "arm_velocity_controller/commands") == [*before, ZEROS]
    robot.until(lambda: len(robot.gripper) > len(gripper), "the gripper's last command")
    assert [list(m.data) for m in robot.gripper] == [*gripper, gripper[-1]]


def test_a_signal_that_comes_twice_at_once_ends_it_as_one_does(moving, robot):
    node = moving()
    before = [list(m.data) for m in robot.arm]
    node.process.send_signal(signal.SIGINT)
    assert node.stop() == 0
    assert everything(robot, "arm_velocity_controller/commands") == [*before, ZEROS]


def test_deactivate_stops_once_and_a_signal_after_it_sends_nothing_more(moving, robot):
    node = moving()
    before = [list(m.data) for m in robot.arm]
    assert robot.change_state("deactivate")
    robot.advance(3)
    robot.send_set()
    assert robot.change_state("cleanup")
    assert node.stop() == 0
    assert everything(robot, "arm_velocity_controller/commands") == [*before, ZEROS]


def test_it_moves_again_after_a_new_activation(moving, robot):
    moving()
    assert robot.change_state("deactivate")
    robot.settle()
    count, chunks = len(robot.arm), len(robot.chunks)
    robot.advance(3)
    robot.send_set()
    robot.settle()
    assert (len(robot.arm), len(robot.chunks)) == (count, chunks)
    assert robot.change_state("activate")
    robot.until(lambda: len(robot.chunks) > chunks, "a chunk", again=robot.feed)
    robot.until(
        lambda: list(robot.arm[-1].data) != ZEROS, "a step", again=lambda: (robot.advance(), robot.send_joints(REST))
    )


def test_the_lifecycle_shutdown_stops_too(moving, robot):
    node = moving()
    before = [list(m.data) for m in robot.arm]
    assert robot.change_state("active_shutdown")
    assert robot.state() == "finalized"
    assert node.stop() == 0
    assert everything(robot, "arm_velocity_controller/commands") == [*before, ZEROS]


@pytest.mark.parametrize("kind", [{"kind": "position"}, {"kind": "velocity", "max_velocity": 3.0}], ids=lambda k: k["kind"])
def test_positions_are_held_where_they_are_measured(kind, sim_node, robot):
    positions = {f"action__{joint}__{key}": value for joint in ARM for key, value in kind.items()}
    node = sim_node(
        outputs__arm__topic="arm_controller/joint_trajectory",
        outputs__arm__type="joint_trajectory",
        schedule__replan_steps=2,
        **positions,
    )
    robot.until(lambda: robot.trajectories, "a trajectory", again=lambda: (robot.advance(), robot.send_set()))
    measured = [0.1, -0.6, 0.2, -2.1, 0.05, 1.5, 0.7, 0.01]
    robot.now += 1_000_000
    robot.send_joints(measured)
    robot.settle()
    count = len(robot.trajectories)
    assert node.stop() == 0
    robot.until(lambda: len(robot.trajectories) > count, "the stop action")
    assert len(robot.trajectories) == count + 1
    (point,) = robot.trajectories[-1].points
    assert list(point.positions) == measured[:7]


def test_a_signal_before_anything_came_ends_it_as_well(start, robot):
    node = start()
    robot.wait_for_state("active")
    assert node.stop() == 0
    assert robot.arm == []
