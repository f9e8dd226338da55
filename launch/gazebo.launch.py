"""The policy node with the arm in Gazebo, in simulation time.

    ros2 launch launch/gazebo.launch.py
    ros2 launch launch/gazebo.launch.py gui:=false checkpoint:=/path/to/checkpoint config:=pi05_droid

Requires Gazebo Harmonic or later with ros_gz, gz_ros2_control, ros2_controllers and robot_state_publisher. The demo's checkpoint was
trained on images of MuJoCo; what it does on those of Gazebo has not been tried.
"""

import os
import shutil
import tempfile
import textwrap
from pathlib import Path
from xml.etree import ElementTree

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

# share/pi05_ros if the package is installed, else the checkout.
ROOT = Path(__file__).resolve().parent.parent
GAZEBO = ROOT / 'sim' / 'gazebo'
CONTROLLERS = ROOT / 'configs' / 'gz_controllers.yaml'
# Fast DDS 2 (Jazzy) reads the first variable, Fast DDS 3 the second.
PROFILES = {'FASTRTPS_DEFAULT_PROFILES_FILE': 'fastdds.xml', 'FASTDDS_DEFAULT_PROFILES_FILE': 'fastdds3.xml'}
ARM_CONTROLLERS = {'velocity': 'arm_velocity_controller', 'trajectory': 'arm_controller'}
PACKAGES = ('ros_gz_bridge', 'gz_ros2_control', 'controller_manager', 'robot_state_publisher')
REMEDY = ('ros-gz', 'gz-ros2-control', 'ros2-controllers', 'robot-state-publisher')


def check_installed():
    """Raises FileNotFoundError, which names everything that is missing, before anything starts."""
    missing = [] if shutil.which('gz') else ['gz']
    for package in PACKAGES:
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        distribution = os.environ.get('ROS_DISTRO', 'jazzy')
        remedy = ' '.join(f'ros-{distribution}-{name}' for name in REMEDY)
        names = ', '.join(missing)
        raise FileNotFoundError(f'Expected Gazebo and its ROS packages, found no {names}: apt-get install {remedy}')


def search_path(variable, *directories):
    """The directories, followed by those that the environment variable already contains."""
    return os.pathsep.join([*map(str, directories), *filter(None, [os.environ.get(variable)])])


def namespaced_arm(namespace):
    """A new directory with the arm as Gazebo loads it and its controllers in the namespace, which their parameter file names too."""
    directory = Path(tempfile.mkdtemp(prefix='pi05-gazebo-'))
    shutil.copytree(GAZEBO / 'pi05_arm', directory / 'pi05_arm')
    controllers = directory / 'controllers.yaml'
    controllers.write_text(f'/{namespace}:\n{textwrap.indent(CONTROLLERS.read_text(), "  ")}')
    model = directory / 'pi05_arm' / 'model.sdf'
    tree = ElementTree.parse(model)
    plugin = tree.find('.//plugin[@name="gz_ros2_control::GazeboSimROS2ControlPlugin"]')
    plugin.find('parameters').text = str(controllers)
    ElementTree.SubElement(ElementTree.SubElement(plugin, 'ros'), 'namespace').text = f'/{namespace}'
    tree.write(model)
    return directory


def on_process_exit(event, context):
    """Ends the launch when a process ends, except a spawner that has done its work; with status 1 if it was an error."""
    if context.is_shutdown or (event.returncode == 0 and event.process_name.startswith('spawner')):
        return None
    if event.returncode != 0:
        raise RuntimeError(f'{event.process_name} ended with status {event.returncode}')
    return [Shutdown(reason=f'{event.process_name} ended')]


def gazebo(gui, models):
    plugins = Path(get_package_prefix('gz_ros2_control')) / 'lib'
    headless = [] if gui else ['-s', '--headless-rendering']
    return ExecuteProcess(
        cmd=['gz', 'sim', '-r', *headless, str(GAZEBO / 'world.sdf')],
        name='gazebo',
        # The model refers to the parameter file of its controllers relative to this directory.
        cwd=str(ROOT),
        additional_env={
            'GZ_SIM_RESOURCE_PATH': search_path('GZ_SIM_RESOURCE_PATH', *models),
            'GZ_SIM_SYSTEM_PLUGIN_PATH': search_path('GZ_SIM_SYSTEM_PLUGIN_PATH', plugins),
        },
        output='screen',
    )


def spawner(namespace, *controllers, inactive=False):
    arguments = [*controllers, '--controller-manager-timeout', '120', *(['--inactive'] if inactive else [])]
    return Node(package='controller_manager', executable='spawner', namespace=namespace, arguments=arguments, output='screen')


def start(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    check_installed()
    use_sim_time = {'use_sim_time': True}
    namespace = value('namespace').strip('/')
    models, handlers = [GAZEBO], [OnProcessExit(on_exit=on_process_exit)]
    if namespace:
        arm = namespaced_arm(namespace)
        models.insert(0, arm)
        handlers.append(OnShutdown(on_shutdown=lambda event, context: shutil.rmtree(arm, ignore_errors=True)))
    inactive = [name for control, name in ARM_CONTROLLERS.items() if control != value('control')]
    return [
        *map(RegisterEventHandler, handlers),
        # First, because gz_ros2_control waits for the robot description.
        Node(
            package='robot_state_publisher',
            executable='robot_state_publisher',
            namespace=namespace,
            parameters=[{'robot_description': ParameterValue((GAZEBO / 'arm.urdf').read_text(), value_type=str)}, use_sim_time],
            output='screen',
        ),
        gazebo(value('gui').lower() == 'true', models),
        Node(
            package='ros_gz_bridge',
            executable='parameter_bridge',
            namespace=namespace,
            parameters=[{'config_file': str(ROOT / 'configs' / 'gz_bridge.yaml')}, use_sim_time],
            output='screen',
        ),
        spawner(namespace, 'joint_state_broadcaster', ARM_CONTROLLERS[value('control')], 'gripper_controller'),
        spawner(namespace, *inactive, inactive=True),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(ROOT / 'launch' / 'policy.launch.py')),
            launch_arguments={
                'config': value('config'),
                'checkpoint': value('checkpoint'),
                'prompt': value('prompt'),
                'namespace': namespace,
                'use_sim_time': 'true',
                'log_level': value('log_level'),
            }.items(),
        ),
    ]


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
            DeclareLaunchArgument(
                'control',
                default_value='velocity',
                choices=list(ARM_CONTROLLERS),
                description="The arm's active controller: velocity for outputs of type float64_multi_array, trajectory for joint_trajectory.",
            ),
            DeclareLaunchArgument('namespace', default_value='', description='Namespace of all nodes and their topics.'),
            DeclareLaunchArgument('gui', default_value='true', choices=['true', 'false', 'True', 'False']),
            DeclareLaunchArgument('log_level', default_value='info', description='Log level of the policy node.'),
            OpaqueFunction(function=start),
        ]
    )
