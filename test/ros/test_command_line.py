"""Help, wrong usage and missing prerequisites of `pi05 node` and `pi05 demo`."""

import os
import subprocess

import pytest
from harness import PI05, ROOT


def pi05(*arguments, **changes):
    """Runs the command line. `changes`: environment variables; None removes one."""
    environment = {k: v for k, v in (os.environ | changes).items() if v is not None}
    return subprocess.run([PI05, *arguments], capture_output=True, text=True, env=environment, timeout=180)


@pytest.mark.parametrize("command", ["node", "demo"])
def test_help_prints_the_usage(command):
    result = pi05(command, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: pi05 {command} ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["node", "--fast"],
        ["node", "--ros-args", "--params-file", "/nowhere.yaml"],
        ["node", "--ros-args", "--no-such-argument"],
        ["demo", "--duration", "soon"],
        ["demo", "--domain", "x"],
        ["demo", "--domain", "233"],
        ["demo", "--out", "/nowhere/demo.png"],
        ["demo", "--out", "demo.jpg"],
        ["demo", "--out", str(ROOT)],
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(arguments):
    result = pi05(*arguments)
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if not line.startswith("[")]
    assert len(errors) == 1 and errors[0].startswith("USAGE: Expected "), result.stderr


def test_a_node_without_parameters_names_all_required_ones():
    result = pi05("node", "--ros-args")
    assert result.returncode == 2
    first = result.stderr.splitlines()[0]
    assert first.startswith("CONFIG_FILE: Expected a robot's parameters for /policy_node, received none: give --ros-args --params-file")
    for name in ("checkpoint", "control_rate", "cameras.names", "action.joints"):
        assert any(line.startswith("CONFIG_TYPE: ") and name in line for line in result.stderr.splitlines())


def test_without_a_home_directory_it_reports_only_its_parameters():
    result = pi05("node", "--ros-args", HOME=None)
    assert all(line.startswith("CONFIG_") for line in result.stderr.splitlines()), result.stderr


def test_without_ros_it_names_what_to_source():
    removed = {"AMENT_PREFIX_PATH": None, "ROS_DISTRO": None}
    environment = {k: v for k, v in os.environ.items() if k not in removed}
    command = ["node", str(ROOT / "dist" / "cli" / "main.js"), "node", "--ros-args"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)
    assert result.returncode == 2
    assert result.stderr.startswith("ENVIRONMENT: Expected a ROS 2 environment, found no AMENT_PREFIX_PATH")
    assert len(result.stderr.splitlines()) == 1
