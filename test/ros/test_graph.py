"""Conflicts with other nodes are reported when the node is activated and until they end."""

from std_msgs.msg import Float64MultiArray


def newest(robot, node, component):
    """Level, message and values of the newest status of one component of a node."""
    return next((s[1:] for s in reversed(robot.statuses(node)) if s[0] == component), (b"", "", {}))


def test_another_publisher_of_commands_and_another_message_type_are_reported_until_they_are_gone(start, robot):
    topic = f"{robot.namespace}/arm_velocity_controller/commands"
    other = robot.ros.create_publisher(Float64MultiArray, topic, 1)
    node = start(cameras__wrist__transport="compressed")
    names = f"received {robot.namespace}/policy_node, {robot.namespace}/{robot.ros.get_name()}"
    node.wait_for_log(f"OUTPUT_SHARED: Expected {node.node} as the only publisher on {topic}, ")
    assert names in node.log
    node.wait_for_log("TOPIC_TYPE: Expected sensor_msgs/msg/CompressedImage on ")

    robot.wait_until(lambda: "OUTPUT_SHARED" in newest(robot, node.node, "control")[1], "a warning")
    assert newest(robot, node.node, "control")[0] == b"\x01"
    type_fault = lambda: newest(robot, node.node, "inputs")[2].get("present.TOPIC_TYPE", "")
    robot.wait_until(lambda: "received publishers of sensor_msgs/msg/Image" in type_fault(), "a warning")

    robot.ros.destroy_publisher(other)
    robot.ros.destroy_publisher(robot.cameras["wrist"])
    robot.wait_until(lambda: "OUTPUT_SHARED" not in newest(robot, node.node, "control")[1] and not type_fault(), "the end of the warnings")


def test_two_nodes_with_the_same_name_both_report_it(start, robot):
    nodes = [start(), start()]
    for node in nodes:
        node.wait_for_log(f"NODE_DUPLICATE: Expected one node named {node.node}, received 2")
    assert nodes[1].stop() == 0
    robot.wait_until(lambda: newest(robot, nodes[0].node, "control")[1] == "no fault", "the end of the warning")
