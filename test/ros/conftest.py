import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

# rcl reads these at its start: this machine only, a separate domain, the Fast DDS profile of the node.
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
sys.path.insert(0, str(Path(__file__).parent))

import pytest
import rclpy
from harness import PI05, ROOT, PolicyProcess, Robot, parameters
from replay_runs import bags, params, replay, summary  # fixtures
from refusal_checks import check_refusals

# Fast DDS 2 (Jazzy) reads the first variable, Fast DDS 3 the second.
for name, file in (("FASTRTPS_DEFAULT_PROFILES_FILE", "fastdds.xml"), ("FASTDDS_DEFAULT_PROFILES_FILE", "fastdds3.xml")):
    os.environ.setdefault(name, str(ROOT / "configs" / file))


def pytest_addoption(parser):
    parser.addoption("--write", action="store_true", help="write docs/faults.md")


@pytest.fixture(autouse=True)
def runtime_directory(monkeypatch):
    """The directory of the sockets and latches of the guards. A latch of an earlier test must not stop the robot."""
    with tempfile.TemporaryDirectory(prefix="pi05-", ignore_cleanup_errors=True) as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        yield directory


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
    """A namespace per test, so that no test receives messages of another test's node."""
    return "/" + re.sub(r"\W+|_+", "_", request.node.name).strip("_")[:60]


@pytest.fixture
def robot(context, namespace):
    robot = Robot(context, namespace)
    yield robot
    robot.close()


@pytest.fixture
def start(tmp_path, checkpoint, namespace):
    """Starts nodes: `start(schedule__mode="sync")`. Ends those that still run after the test."""
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
    """Starts a node with use_sim_time, whose clock is that of `robot`, and waits until it is active."""

    def sim_node(**changes):
        node = start(use_sim_time=True, **changes)
        robot.wait_for_state("active")
        robot.wait_until_connected()
        return node

    return sim_node


@pytest.fixture
def simulation(namespace):
    """Starts the arm in lock-step and waits until it has rendered its first images."""
    processes = []

    def simulation():
        command = [sys.executable, "-m", "sim.robot", "--lockstep", "--namespace", namespace]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        ready = process.stdout.readline()
        assert ready, process.communicate()[1]
        assert json.loads(ready)["ready"] is True
        return process

    yield simulation
    for process in processes:
        process.send_signal(signal.SIGINT)  # a killed process leaves its shared memory behind
        process.communicate(timeout=30)


@pytest.fixture
def assert_refused(sim_node, robot):
    """`assert_refused(code, topic, (send_bad, words), …)`: runs `check_refusals` with a new node."""

    def assert_refused(code, topic, *cases, **changes):
        check_refusals(sim_node(schedule__replan_steps=1, **changes), robot, code, topic, *cases)

    return assert_refused
