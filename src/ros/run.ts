import { homedir } from 'node:os';
import { Pi05Error } from '../errors.js';
import { loadRcl } from './environment.js';
import { PolicyNode } from './node.js';

/**
 * Runs `policy_node` until SIGINT or SIGTERM; a further signal a second or more later ends it at once.
 * @param argv what follows `pi05 node` on the command line, `--ros-args` included
 * @returns 0; whatever was published last is the stop action
 * @throws Pi05Error ENVIRONMENT, USAGE, CONFIG_* and, with `autostart`, CHECKPOINT_* and what else hinders loading
 */
export async function runNode(argv: readonly string[]): Promise<number> {
  const { rcl, native } = await loadRcl(process.env);
  // rcl keeps its log there.
  process.env['HOME'] ??= homedir();
  try {
    await rcl.init(undefined, ['pi05', ...argv]);
  } catch (error) {
    throw initFailure(error instanceof Error ? error.message : String(error));
  }
  const signal = firstSignal();
  try {
    const node = new PolicyNode(rcl, native, argv);
    const fault = new Promise<never>((_, reject) => {
      process.on('uncaughtException', reject);
      node.start().catch(reject);
    });
    try {
      await Promise.race([signal, fault]);
    } finally {
      await node.stop();
    }
  } finally {
    // An exit while rclnodejs still spins aborts in the middleware.
    rcl.shutdown();
  }
  return 0;
}

/**
 * One Ctrl-C comes twice under `ros2 launch`: from the terminal and from the launch. Signals are one until this process has
 * listened that often, ms apart: the stop action may keep it from listening for a second.
 */
const LISTENED = 10;
const LISTENING = 100;

/** Resolves at the first SIGINT or SIGTERM; a later one that is not the same again ends the process. */
function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let listened = 0;
    let timer: NodeJS.Timeout | undefined;
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => {
        timer ??= setInterval(() => listened++, LISTENING).unref();
        if (listened > LISTENED) process.kill(process.pid, 'SIGKILL');
        resolve();
      });
    }
  });
}

/** What rcl says when it cannot start, without where in its sources it says so. */
export function initFailure(message: string): Pi05Error {
  const [line = ''] = message.split('\n');
  const reason = line.replace(/,? at [^ ,]+:\d+/g, '').replace(/[. ]+$/, '');
  const asked = /^(Couldn't parse|Unknown ROS arguments)/.test(reason);
  const sentence = reason.charAt(0).toLowerCase() + reason.slice(1);
  return asked
    ? new Pi05Error('USAGE', `Expected ROS arguments, but ${sentence}`)
    : new Pi05Error('ENVIRONMENT', `Expected ROS to start, but it ${sentence}`);
}
