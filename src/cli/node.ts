import { Pi05Error } from '../errors.js';
import { runNode } from '../ros/run.js';

const HELP = `Usage: pi05 node [--ros-args ROS_ARGUMENTS]

Runs the lifecycle node policy_node until SIGINT or SIGTERM. All settings are ROS parameters:

  pi05 node --ros-args --params-file configs/pi05_droid.yaml -p checkpoint:=DIR
  pi05 node --ros-args --params-file FILE -r __ns:=/left -r joint_states:=/arm/joint_states --log-level debug

docs/parameters.md and \`ros2 param describe /policy_node NAME\` describe the parameters; configs/ has examples. With
-p use_sim_time:=true the node takes the time from /clock. Exit status: 0 after a signal, 1 failed while running,
2 wrong usage, configuration, checkpoint or environment.
`;

export async function run(argv: readonly string[]): Promise<number> {
  const ownArguments = argv.slice(0, argv.includes('--ros-args') ? argv.indexOf('--ros-args') : argv.length);
  if (ownArguments.includes('--help') || ownArguments.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (ownArguments[0] !== undefined) throw new Pi05Error('USAGE', `Expected --ros-args, received ${ownArguments[0]}`);
  return await runNode(argv);
}
