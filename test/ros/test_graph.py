"""Conflicts with other nodes are reported when the node is activated and until they end. Another commander stops the robot."""

import rclpy
from harness import DEADLINE
from std_msgs.msg import Float64MultiArray


def newest(robot, node, component):
    """Level, message and values of the newest status of one component of a node."""
    return next((s[1:] for s in reversed(robot.statuses(node)) if s[0] == component), (b"", "", {}))


def commander(robot):
    """A publisher on the topic of the arm's commands."""
    return robot.ros.create_publisher(Float64MultiArray, "arm_velocity_controller/commands", 1)


def test_with_another_publisher_of_commands_it_refuses_its_activation_and_names_it(start, robot):
    other = commander(robot)
    node = start(autostart=False)
    assert robot.change_state("configure")
    assert not robot.change_state("activate")
    assert robot.state() == "inactive"
    sentence = f"OUTPUT_SHARED: Expected {node.node} as the only commander on {other.topic_name}, "
    node.wait_for_log(f"{sentence}received {robot.namespace}/{robot.ros.get_name()}: ")
    robot.ros.destroy_publisher(other)
    robot.wait_until(lambda: robot.change_state("activate"), "the activation without another publisher")


def test_another_publisher_of_commands_stops_it_until_it_is_gone(sim_node, robot):
    node = sim_node(schedule__replan_steps=1)
    robot.next_chunk()
    robot.wait_until(lambda: robot.arm and any(robot.arm[-1].data), "motion", repeat=lambda: (robot.advance(), robot.send_set()))
    other = commander(robot)
    node.wait_for_log("OUTPUT_SHARED: ")
    robot.wait_until_processed()
    chunks = len(robot.chunks)
    assert not any(robot.arm[-1].data)
    for _ in range(5):
        robot.advance()
        robot.send_set()
    robot.wait_until_processed()
    assert len(robot.chunks) == chunks and not any(robot.arm[-1].data)
    robot.wait_until(lambda: newest(robot, node.node, "control")[0] == b"\x02", "an error in /diagnostics")
    assert "OUTPUT_SHARED: " in newest(robot, node.node, "control")[1]
    robot.ros.destroy_publisher(other)
    robot.wait_until(lambda: any(robot.arm[-1].data), "motion", repeat=lambda: (robot.advance(), robot.send_set()))


def test_another_publisher_of_commands_is_allowed_by_a_parameter(sim_node, robot):
    commander(robot)
    node = sim_node(safety__allow_shared_outputs=True)
    robot.next_chunk()
    robot.wait_until(lambda: robot.arm and any(robot.arm[-1].data), "motion", repeat=lambda: (robot.advance(), robot.send_set()))
    assert "OUTPUT_SHARED" not in node.log


def test_a_second_policy_with_the_same_name_and_another_guard_is_another_commander(start, robot, tmp_path, monkeypatch):
    node = start()
    node.wait_for_log("active: control ticks")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    other = start()
    sentence = f"OUTPUT_SHARED: Expected {node.node} as the only commander on {robot.namespace}/arm_velocity_controller/commands, "
    node.wait_for_log(sentence)
    other.wait_for_log(sentence)
    assert other.stop() == 0
    robot.wait_until(lambda: newest(robot, node.node, "control")[1] == "no fault", "the end of the fault")


def test_another_message_type_is_reported_until_it_is_gone(start, robot):
    node = start(cameras__wrist__transport="compressed")
    node.wait_for_log("TOPIC_TYPE: Expected sensor_msgs/msg/CompressedImage on ")
    type_fault = lambda: newest(robot, node.node, "inputs")[2].get("present.TOPIC_TYPE", "")
    robot.wait_until(lambda: "received publishers of sensor_msgs/msg/Image" in type_fault(), "a warning")

    robot.ros.destroy_publisher(robot.cameras["wrist"])
    robot.wait_until(lambda: not type_fault(), "the end of the warning")


def test_a_second_node_with_the_same_name_is_reported_until_it_is_gone(start, robot):
    node = start()
    robot.wait_for_state("active")
    other = rclpy.create_node("policy_node", namespace=robot.namespace, context=robot.ros.context)
    node.wait_for_log(f"NODE_DUPLICATE: Expected one node named {node.node}, received 2")
    other.destroy_node()
    robot.wait_until(lambda: newest(robot, node.node, "control")[1] == "no fault", "the end of the warning")


def test_a_second_policy_with_the_same_name_is_refused_by_the_guard_and_ends_with_status_2(start, robot):
    node = start()
    robot.wait_for_state("active")
    other = start()
    assert other.process.wait(DEADLINE) == 2
    other.wait_for_log("NODE_DUPLICATE: ")
    assert f"process {node.process.pid} " in other.log
    assert robot.state() == "active"
