"""The policy node with the simulated arm, in simulation time.

    ros2 launch launch/demo.launch.py prompt:='put the green block into the bowl'
    ros2 launch launch/demo.launch.py checkpoint:=/path/to/checkpoint config:=pi05_droid

`ros2 param set /policy_node prompt '…'` gives the next prompt while it runs.
"""

import os
import subprocess
import sys
from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

# share/pi05_ros if the package is installed, else the checkout.
ROOT = Path(__file__).resolve().parent.parent
# Fast DDS 2 (Jazzy) reads the first variable, Fast DDS 3 the second.
PROFILES = {'FASTRTPS_DEFAULT_PROFILES_FILE': 'fastdds.xml', 'FASTDDS_DEFAULT_PROFILES_FILE': 'fastdds3.xml'}


def python():
    """The Python with MuJoCo: that of `npm run setup` in a checkout, else the one that runs this file."""
    checkout_python = ROOT / '.pi05' / 'venv' / 'bin' / 'python'
    return str(checkout_python) if checkout_python.exists() else sys.executable


def check_installed():
    """Raises FileNotFoundError with the remedy before anything starts, if that Python lacks what the simulated arm needs."""
    script = 'from importlib.util import find_spec as find; print(*(n for n in ("mujoco", "numpy", "rclpy") if not find(n)))'
    missing = subprocess.run([python(), '-c', script], check=True, capture_output=True, text=True).stdout.split()
    if missing:
        names = ', '.join(missing)
        raise FileNotFoundError(
            f'Expected {names} in {python()} for the simulated arm, found none: {python()} -m pip install mujoco, or in'
            ' a checkout npm run setup -- --rendering'
        )


def on_process_exit(event, context):
    """Ends the launch when the arm or the policy node ends; with status 1 if that was an error."""
    if context.is_shutdown:
        return None
    if event.returncode != 0:
        raise RuntimeError(f'{event.process_name} ended with status {event.returncode}')
    return [Shutdown(reason=f'{event.process_name} ended')]


def start(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    check_installed()
    robot = Node(
        executable=python(),
        arguments=['-m', 'sim.robot'],
        namespace=value('namespace'),
        cwd=str(ROOT),
        output='screen',
    )
    policy = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(ROOT / 'launch' / 'policy.launch.py')),
        launch_arguments={
            'config': value('config'),
            'checkpoint': value('checkpoint'),
            'prompt': value('prompt'),
            'namespace': value('namespace'),
            'use_sim_time': 'true',
            'log_level': value('log_level'),
        }.items(),
    )
    return [RegisterEventHandler(OnProcessExit(on_exit=on_process_exit)), robot, policy]


def generate_launch_description():
    profile = [
        SetEnvironmentVariable(name, str(ROOT / 'configs' / file))
        for name, file in PROFILES.items()
        if not os.environ.get(name)
    ]
    return LaunchDescription(
        [
            *profile,
            DeclareLaunchArgument('config', default_value='demo', description='As in policy.launch.py.'),
            DeclareLaunchArgument(
                'checkpoint', default_value='', description='Checkpoint directory; empty: the one in the parameter file.'
            ),
            DeclareLaunchArgument('prompt', default_value='', description='The task in words; empty: that of the parameter file.'),
            DeclareLaunchArgument('namespace', default_value='', description='Namespace of both nodes and their topics.'),
            DeclareLaunchArgument('log_level', default_value='info', description='Log level of the policy node.'),
            OpaqueFunction(function=start),
        ]
    )
