"""The launch files. No PyPI wheel has launch and launch_ros, so these tests run where a ROS 2 with them is sourced."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml
from harness import DEADLINE, ROOT, PlainYaml, parameters, processes_with

pytest.importorskip("launch_ros", reason="needs the ROS 2 packages launch and launch_ros, which no PyPI wheel has")

# `ros2 launch FILE NAME:=VALUE …`, whose status is that of the launch service.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
file, *arguments = sys.argv[1:]
pairs = [tuple(argument.split(":=", 1)) for argument in arguments]
service = LaunchService(noninteractive=True)
source = PythonLaunchDescriptionSource(file)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=pairs)]))
sys.exit(service.run())
"""


def load(name):
    """A launch file as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "launch" / f"{name}.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def launch(tmp_path):
    """Starts a launch file, in a process session of its own as in a terminal."""
    started = []

    def launch(name, **arguments):
        pairs = [f"{key}:={value}" for key, value in arguments.items()]
        command = [sys.executable, "-c", LAUNCH, str(ROOT / "launch" / f"{name}.launch.py"), *pairs]
        log = open(tmp_path / "launch.log", "w+")
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path, start_new_session=True)
        started.append(process)
        return process

    yield launch
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(DEADLINE)


def config_file(tmp_path, checkpoint, **changes):
    file = tmp_path / "robot.yaml"
    file.write_text(yaml.dump({"/**": {"ros__parameters": parameters(checkpoint, **changes)}}, Dumper=PlainYaml))
    return file


def test_the_policy_in_a_namespace_has_a_guard_and_all_processes_end_with_the_launch(launch, robot, checkpoint, tmp_path):
    file = config_file(tmp_path, checkpoint)
    process = launch("policy", config=file, namespace=robot.namespace)
    robot.wait_for_state("active")
    # The parameter file is an argument of the node and of its guard.
    assert len(processes_with("guard", str(file))) == 1
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(DEADLINE) == 0
    # The guard ends after the node, without being waited for.
    robot.wait_until(lambda: not processes_with(str(file)), "the end of the guard")


def test_the_demo_ends_with_status_1_when_the_node_cannot_start(launch, checkpoint, tmp_path, namespace):
    process = launch("demo", config=config_file(tmp_path, checkpoint, control_rate="fast"), namespace=namespace)
    assert process.wait(DEADLINE) == 1
    log = (tmp_path / "launch.log").read_text()
    assert "CONFIG_TYPE: Expected a double for control_rate" in log and "ended with status 2" in log
    assert not processes_with("sim.robot", f"__ns:={namespace}")


def test_the_demo_names_what_the_python_of_the_simulated_arm_lacks(tmp_path, monkeypatch):
    python = tmp_path / "python"
    # Isolated, and without the installed packages.
    python.write_text(f'#!/bin/sh\nexec {json.dumps(sys.executable)} -I -S "$@"\n')
    python.chmod(0o755)
    demo = load("demo")
    monkeypatch.setattr(demo, "python", lambda: str(python))
    with pytest.raises(FileNotFoundError, match=f"Expected mujoco, numpy, rclpy in {python}"):
        demo.check_installed()


def test_gazebos_arm_in_a_namespace_has_its_controllers_there():
    gazebo = load("gazebo")
    directory = gazebo.namespaced_arm("left")
    plugin = ElementTree.parse(directory / "pi05_arm" / "model.sdf").find(".//plugin")
    assert plugin.findtext("ros/namespace") == "/left"
    controllers = yaml.safe_load(open(plugin.findtext("parameters")))
    assert controllers == {"/left": yaml.safe_load(gazebo.CONTROLLERS.read_text())}


def test_gazebo_ends_with_an_error_where_a_process_failed_and_not_where_a_spawner_is_done():
    on_process_exit = load("gazebo").on_process_exit
    running, ending = SimpleNamespace(is_shutdown=False), SimpleNamespace(is_shutdown=True)
    event = lambda name, status: SimpleNamespace(process_name=name, returncode=status)
    assert on_process_exit(event("spawner-3", 0), running) is None
    assert on_process_exit(event("policy_node-5", -9), ending) is None
    assert len(on_process_exit(event("gazebo-2", 0), running)) == 1
    with pytest.raises(RuntimeError, match="spawner-3 ended with status 1"):
        on_process_exit(event("spawner-3", 1), running)
