import os
import re
import subprocess
import sys
from pathlib import Path

# rcl reads these when it starts: this machine only, a domain of our own, the profile that the node uses too.
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
sys.path.insert(0, str(Path(__file__).parent))

import pytest
import rclpy
from harness import PI05, ROOT, PolicyProcess, Robot, parameters
from replay_runs import bags, params, replay, summary  # fixtures
from refusals import show

os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(ROOT / "configs" / "fastdds.xml"))


@pytest.fixture(scope="session")
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoint")
    subprocess.run([PI05, "make-checkpoint", str(directory), "--size", "tiny"], check=True)
    return directory


@pytest.fixture
def namespace(request):
    """One for each test, so that no test hears another's node."""
    return "/" + re.sub(r"\W+|_+", "_", request.node.name).strip("_")[:60]


@pytest.fixture
def robot(context, namespace):
    robot = Robot(context, namespace)
    yield robot
    robot.close()


@pytest.fixture
def start(tmp_path, checkpoint, namespace):
    """Starts nodes: `start(schedule__mode="sync")`; whatever still runs at the end is ended."""
    started = []

    def start(*arguments, namespace=namespace, **changes):
        values = parameters(**({"checkpoint": checkpoint} | changes))
        started.append(PolicyProcess(tmp_path, values, *arguments, namespace=namespace))
        return started[-1]

    yield start
    for node in started:
        node.end()
        print(f"--- {node.node}\n{node.log}")


@pytest.fixture
def sim_node(start, robot):
    """An active node whose time is the robot's clock."""

    def sim_node(**changes):
        node = start(use_sim_time=True, **changes)
        robot.wait_for_state("active")
        robot.wait_until_connected()
        return node

    return sim_node


@pytest.fixture
def refused(sim_node, robot):
    """`refused(code, topic, (bad, words), …)`: as `show`, with a node of its own."""

    def refused(code, topic, *cases, **changes):
        show(sim_node(schedule__replan_steps=1, **changes), robot, code, topic, *cases)

    return refused
