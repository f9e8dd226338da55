"""Limits and the tool's workspace from the URDF of the robot, and nodes without limits."""

import subprocess
import sys

import mujoco
import numpy as np
import pytest
import yaml
from harness import ARM, FINGER, JOINTS, PI05, ROOT, PlainYaml, parameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from record_arm import START, Recorder
from replay_runs import messages
from sensor_msgs.msg import JointState
from std_msgs.msg import String

sys.path.insert(0, str(ROOT))
from sim.description import robot as description

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
URDF = ROOT / "sim" / "gazebo" / "arm.urdf"
WITHOUT_LIMITS = {f"action__{joint}__{limit}": None for joint in JOINTS for limit in ("lower", "upper", "max_velocity")}
SPEED = [2.175] * 4 + [2.61] * 3
LOCKSTEP = {"use_sim_time": True, "schedule__lockstep": True}


def commands(robot):
    return np.array([list(message.data) for message in robot.arm])


def test_the_limits_are_those_of_the_simulated_arms_topic(simulation, start, robot):
    fast = {f"action__{joint}__scale": 30.0 for joint in ARM}
    limits = WITHOUT_LIMITS | {"action__panda_joint1__upper": 1000.0, "action__bound": "none"}
    node = start(robot_description_topic="robot_description", **LOCKSTEP, **limits, **fast)
    simulation()
    robot.wait_until(lambda: len(robot.chunks) >= 3, "chunks")
    node.wait_for_log(
        f"The limits of {robot.namespace}/robot_description are stricter than the parameters and apply: "
        "panda_joint1 upper 2.8973 instead of 1000"
    )
    fastest = np.abs(commands(robot)).max(axis=0)
    assert np.all(fastest <= np.array(SPEED) + 1e-9)
    assert np.any(np.isclose(fastest, SPEED, rtol=0, atol=1e-9))
    assert node.stop() == 0


def test_without_a_description_in_time_it_does_not_start(start):
    node = start(robot_description_topic="robot_description", robot_description_timeout=0.5)
    assert node.wait() == 2
    assert "ROBOT_DESCRIPTION_MISSING: Expected a robot description on " in node.log
    assert "(std_msgs/String, transient local), received none in 0.5 s" in node.log


@pytest.mark.parametrize(
    "text, error",
    [
        ("hello", "ROBOT_DESCRIPTION_DATA: Expected a URDF in "),
        (
            URDF.read_text().replace('"panda_joint7"', '"panda_joint8"'),
            "ROBOT_DESCRIPTION_JOINT: Expected a moving joint panda_joint7 in ",
        ),
    ],
    ids=["not_a_urdf", "another_robot"],
)
def test_a_description_that_does_not_fit_is_an_error(text, error, start, robot):
    robot.ros.create_publisher(String, "robot_description", LATCHED).publish(String(data=text))
    node = start(robot_description_topic="robot_description")
    assert node.wait() == 2
    assert error in node.log


def hand_at(positions):
    """Position of the hand by MuJoCo. @param positions by joint name."""
    model = mujoco.MjModel.from_xml_path(str(ROOT / "sim" / "arm.xml"))
    data = mujoco.MjData(model)
    for name in ARM:
        data.joint(name).qpos = positions[name]
    mujoco.mj_kinematics(model, data)
    return data.body("panda_hand").xpos.copy()


def test_the_hand_stays_in_the_workspace(simulation, start, robot):
    states = []
    robot.record(JointState, "joint_states", states)
    home = hand_at({joint.name: joint.home for joint in description.JOINTS})
    lower, upper = home - 0.03, home + 0.03
    node = start(
        robot_description_file=str(URDF),
        safety__tool_link="panda_hand",
        safety__workspace__lower=[float(value) for value in lower],
        safety__workspace__upper=[float(value) for value in upper],
        **{f"action__{joint}__max_acceleration": 10.0 for joint in ARM},
        **LOCKSTEP,
    )
    simulation()
    robot.wait_until(lambda: len(robot.chunks) >= 8 and "WORKSPACE" in node.log, "chunks that are cut")
    assert node.stop() == 0
    hands = np.array([hand_at(dict(zip(state.name, state.position))) for state in states])
    assert np.abs(hands - home).max() > 0.005
    assert np.all(hands >= lower - 0.002) and np.all(hands <= upper + 0.002)


def test_no_limits_are_a_warning_for_as_long_as_it_runs(sim_node, robot):
    node = sim_node(action__limits="none", **WITHOUT_LIMITS)
    node.wait_for_log("LIMITS_NONE: Expected action.limits: finite, received none; without a limit: panda_joint1 (lower, ")
    control = lambda: [s for s in robot.statuses(node.node) if s[0] == "control"]
    robot.wait_until(lambda: control() and "LIMITS_NONE" in str(control()[-1]), "a warning in /diagnostics")
    assert node.stop() == 0


def test_a_missing_limit_is_an_error_that_names_it(start):
    node = start(**{f"action__{FINGER}__max_velocity": None})
    assert node.wait() == 2
    assert f"LIMIT_MISSING: Expected finite limits for {FINGER}, received no action.{FINGER}.max_velocity" in node.log


@pytest.fixture
def replayed(tmp_path, checkpoint):
    """Replays a bag with these parameters: `replayed(bag, prompt="…")`. Returns exit status and stderr."""

    def replayed(bag, **changes):
        file = tmp_path / "params.yaml"
        file.write_text(yaml.dump({"/**": {"ros__parameters": parameters(checkpoint, **changes)}}, Dumper=PlainYaml))
        done = subprocess.run([PI05, "replay", str(bag), "--params", str(file)], capture_output=True, text=True)
        return done.returncode, done.stderr

    return replayed


def with_description(bag, out):
    """A copy of the bag with the URDF before its first message."""
    with Recorder(out) as recorder:
        recorder.write("/robot_description", "std_msgs/msg/String", START, URDF.read_text())
        for message in messages(bag):
            recorder.copy(*message)
    return out


def test_a_replay_takes_the_limits_of_the_bag_or_needs_those_of_the_parameters(bags, replayed, tmp_path):
    topic = {"robot_description_topic": "robot_description"}
    limits = WITHOUT_LIMITS | topic | {"action__panda_joint1__upper": 1000.0}
    status, stderr = replayed(with_description(bags(), tmp_path / "described"), **limits)
    assert status == 0, stderr
    assert "/robot_description are stricter than the parameters and apply: panda_joint1 upper 2.8973 instead of 1000" in stderr
    status, stderr = replayed(bags(), **limits)
    assert status == 2 and "LIMIT_MISSING: Expected finite limits for panda_joint1, received no " in stderr
    status, stderr = replayed(bags(), **topic)
    assert status == 0, stderr
    tool = {"safety__tool_link": "panda_hand", "safety__max_tool_speed": 1.0}
    status, stderr = replayed(bags(), **topic, **tool)
    assert status == 2 and "ROBOT_DESCRIPTION_MISSING: Expected a URDF for safety.tool_link (panda_hand)" in stderr
