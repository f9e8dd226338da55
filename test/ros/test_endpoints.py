"""Who listens to the commands, publishers that cannot match, a prompt that was latched before the node started, and `~/status`."""

from diagnostic_msgs.msg import DiagnosticStatus
from harness import RELIABLE
from rcl_interfaces.srv import GetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray, String
from test_graph import newest

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def fault(robot, node, component, code):
    """The sentence of a fault that is present; '' where it is not."""
    return newest(robot, node.node, component)[2].get(f"present.{code}", "")


def test_a_command_topic_without_a_listener_is_reported_until_somebody_listens(start, robot):
    node = start(outputs__gripper__topic="elsewhere/commands")
    topic = f"{robot.namespace}/elsewhere/commands"
    unheard = lambda: fault(robot, node, "control", "OUTPUT_UNHEARD")
    robot.wait_until(lambda: f"on {topic}, reliable and volatile, received none" in unheard(), "a warning")
    assert newest(robot, node.node, "control")[0] == b"\x01"

    def listen(qos):
        return robot.ros.create_subscription(Float64MultiArray, "elsewhere/commands", lambda _: None, qos)

    latched = listen(LATCHED)
    robot.wait_until(lambda: f"/{robot.ros.get_name()} with a QoS that cannot match (durability" in unheard(), "the reason")
    listen(RELIABLE)
    robot.wait_until(lambda: not unheard(), "the end of the warning")
    robot.ros.destroy_subscription(latched)


def test_a_latched_prompt_is_received_and_what_comes_last_counts(start, robot):
    latched = robot.ros.create_publisher(String, "prompt", LATCHED)
    latched.publish(String(data="put it down"))
    start(prompt="", autostart=False)
    assert robot.change_state("configure")
    request = GetParameters.Request(names=["prompt"])
    prompt = lambda: robot.call(GetParameters, "policy_node/get_parameters", request).values[0].string_value
    robot.wait_until(lambda: prompt() == "put it down", "the latched prompt")
    robot.prompt.publish(String(data="pick it up"))
    robot.wait_until(lambda: prompt() == "pick it up", "the prompt of a volatile publisher")
    latched.publish(String(data="wave"))
    robot.wait_until(lambda: prompt() == "wave", "the newest prompt")


def test_a_publisher_whose_reliability_cannot_match_is_reported_until_it_is_gone(start, robot):
    node = start(prompt="")
    speech = robot.ros.create_publisher(String, "prompt", BEST_EFFORT)
    incompatible = lambda: fault(robot, node, "inputs", "QOS_INCOMPATIBLE")
    robot.wait_until(lambda: f"on {robot.namespace}/prompt, which is reliable, received best effort" in incompatible(), "a warning")
    assert "QOS_INCOMPATIBLE" in newest(robot, node.node, "inputs")[1]
    robot.ros.destroy_publisher(speech)
    robot.wait_until(lambda: not incompatible(), "the end of the warning")


def test_publishers_from_which_nothing_comes_are_reported_until_something_comes(start, robot):
    node = start()
    silent = lambda: fault(robot, node, "inputs", "INPUT_SILENT")
    robot.wait_until(lambda: "/dev/shm" in silent() and robot.namespace in silent(), "a warning")
    robot.now = robot.ros.get_clock().now().nanoseconds
    robot.wait_until(lambda: not silent(), "the end of the warning", repeat=robot.send_set)


def test_the_seams_of_the_motion_are_on_status_and_in_diagnostics(sim_node, robot):
    received = []
    robot.record(DiagnosticStatus, "policy_node/status", received)
    node = sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    values = lambda: {item.key: item.value for status in received[-1:] for item in status.values}

    def next_tick():
        robot.advance()
        robot.send_set()

    robot.wait_until(lambda: int(values().get("seams", 0)) > 1, "seams", repeat=next_tick)
    assert received[-1].name == f"{node.node}: motion" and received[-1].level == b"\x00"
    assert received[-1].message.startswith(f"{values()['seams']} seams, the largest jump ")
    assert {"delay_ms", "delay", "seam_jump_last", "seam_jump_max", "jerk_rms", "jerk_max", "idle_steps"} <= values().keys()
    expected = values()
    in_diagnostics = lambda: [parts for component, _, _, parts in robot.statuses(node.node) if component == "motion"]
    robot.wait_until(lambda: expected in in_diagnostics(), "the same in /diagnostics")
