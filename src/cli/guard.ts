import { Pi05Error } from '../errors.js';
import { runGuard } from '../ros/guard-process.js';

const HELP = `Usage: pi05 guard [--ros-args ROS_ARGUMENTS]

Runs the guard of a policy node: the process that alone publishes on the outputs' topics, checks every command, and stops the
robot when the policy process crashes, hangs or is killed. pi05 node starts one where none is running and connects to it. Give
it the ROS arguments of the policy node:

  pi05 guard --ros-args --params-file configs/pi05_droid.yaml -p checkpoint:=DIR

For a policy node /policy_node it is the node /policy_node_guard and serves

  /policy_node/stop     service std_srvs/Trigger and topic std_msgs/Bool: stops the robot until resume
  /policy_node/resume   service std_srvs/Trigger
  /policy_node/safety   topic diagnostic_msgs/DiagnosticStatus: state, reason and how to resume

It ends with the stop action after SIGINT or SIGTERM, and when the policy has ended as it should and no stop is latched.
Exit status: 0 after that, 1 failed while running, 2 wrong usage, configuration or environment, or the guard of this policy is
already running (GUARD_RUNNING).
`;

export async function run(argv: readonly string[]): Promise<number> {
  const ownArguments = argv.slice(0, argv.includes('--ros-args') ? argv.indexOf('--ros-args') : argv.length);
  if (ownArguments.includes('--help') || ownArguments.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (ownArguments[0] !== undefined) throw new Pi05Error('USAGE', `Expected --ros-args, received ${ownArguments[0]}`);
  return await runGuard(argv);
}
