"""The policy node.

    ros2 launch pi05_ros policy.launch.py config:=pi05_droid checkpoint:=/path/to/checkpoint
    ros2 launch launch/policy.launch.py config:=my_robot.yaml          # from a checkout
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

# share/pi05_ros if the package is installed, else the checkout.
ROOT = Path(__file__).resolve().parent.parent


def node_executable():
    installed = ROOT.parent.parent / 'lib' / 'pi05_ros' / 'policy_node'
    return str(installed if installed.exists() else ROOT / 'bin' / 'policy_node')


def config_file(config):
    """The parameter file for `config`: the name of a preset in configs/, or a path to a ROS 2 parameter file."""
    preset = ROOT / 'configs' / f'{config}.yaml'
    if preset.is_file():
        return str(preset)
    if Path(config).is_file():
        return config
    presets = ', '.join(sorted(path.stem for path in (ROOT / 'configs').glob('*.yaml') if not path.stem.startswith('gz_')))
    raise FileNotFoundError(f'Expected a preset ({presets}) or a parameter file for config, received {config}')


def start(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    overrides = {'use_sim_time': value('use_sim_time').lower() == 'true'}
    checkpoint = value('checkpoint')
    if checkpoint:
        overrides['checkpoint'] = checkpoint
    if value('prompt'):
        # As ParameterValue, since a plain text such as "1" or "yes" would become a number or a boolean.
        overrides['prompt'] = ParameterValue(value('prompt'), value_type=str)
    node = Node(
        executable=node_executable(),
        name='policy_node',
        namespace=value('namespace'),
        parameters=[config_file(value('config')), overrides],
        ros_arguments=['--log-level', value('log_level')],
        output='screen',
    )
    return [node]


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument('config', description='A preset in configs/ (its name), or a path to a parameter file.'),
            DeclareLaunchArgument(
                'checkpoint', default_value='', description='Checkpoint directory; empty: the one in the parameter file.'
            ),
            DeclareLaunchArgument('prompt', default_value='', description='The task in words; empty: that of the parameter file.'),
            DeclareLaunchArgument('namespace', default_value='', description='Namespace of the node and its topics.'),
            DeclareLaunchArgument('use_sim_time', default_value='false', choices=['true', 'false', 'True', 'False']),
            DeclareLaunchArgument('log_level', default_value='info', description='debug, info, warn, error or fatal.'),
            OpaqueFunction(function=start),
        ]
    )
