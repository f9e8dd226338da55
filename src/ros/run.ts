import { homedir } from 'node:os';
import { errorMessage, Pi05Error } from '../errors.js';
import { loadRcl } from './environment.js';
import { PolicyNode } from './node.js';
import { dropOutputWhenTerminalBlocks } from './terminal.js';

/**
 * Runs `policy_node` until a signal ends it (`ENDING_SIGNALS`). A second signal at least a second later kills the process.
 * @param argv the arguments after `pi05 node`, including `--ros-args`.
 * @returns exit status 0. The last message on each command topic is then the stop action.
 * @throws Pi05Error ENVIRONMENT, USAGE, CONFIG_* and, with `autostart`, CHECKPOINT_* and other loading errors.
 */
export async function runNode(argv: readonly string[]): Promise<number> {
  dropOutputWhenTerminalBlocks();
  const { rcl, native } = await loadRcl(process.env);
  // rcl writes its log below HOME and fails without it.
  process.env['HOME'] ??= homedir();
  try {
    await rcl.init(undefined, ['pi05', ...argv]);
  } catch (error) {
    throw initFailure(errorMessage(error));
  }
  const signal = firstSignal();
  try {
    const node = new PolicyNode(rcl, native, argv);
    const failure = new Promise<never>((_, reject) => {
      process.on('uncaughtException', reject);
      node.start().catch(reject);
    });
    try {
      await Promise.race([signal, failure]);
    } finally {
      await node.stop();
    }
  } finally {
    // Without this, an exit while rclnodejs is spinning aborts in the middleware.
    rcl.shutdown();
  }
  return 0;
}

/**
 * Under `ros2 launch` one Ctrl-C sends two signals, one from the terminal and one from launch. A second signal counts as a
 * duplicate until a timer of `TIMER_MS` has fired more than this many times. Elapsed time would not work: something may
 * block the event loop for a second, and the duplicate is handled only after that.
 */
const DUPLICATE_TIMER_CALLS = 10;
const TIMER_MS = 100;

/**
 * Every signal that would end the process and that it can handle. Node.js ignores SIGPIPE. SIGKILL and SIGSTOP cannot be
 * handled, and after SIGSEGV, SIGBUS, SIGFPE and SIGILL no JavaScript may run: then the guard stops the robot. Without a handler
 * SIGUSR1 opens the debugger of Node.js.
 */
export const ENDING_SIGNALS = [
  ...(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGABRT', 'SIGALRM', 'SIGUSR1', 'SIGUSR2', 'SIGVTALRM'] as const),
  ...(['SIGXCPU', 'SIGXFSZ', 'SIGIO', 'SIGPWR', 'SIGSYS', 'SIGTRAP', 'SIGSTKFLT'] as const),
];

/** Resolves at the first signal that ends the node. A later one that is not a duplicate kills the process. */
function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let timerCalls = 0;
    let timer: NodeJS.Timeout | undefined;
    for (const name of ENDING_SIGNALS) {
      process.on(name, () => {
        timer ??= setInterval(() => timerCalls++, TIMER_MS).unref();
        if (timerCalls > DUPLICATE_TIMER_CALLS) process.kill(process.pid, 'SIGKILL');
        resolve();
      });
    }
  });
}

/** The error of a failed `rcl.init`: the first line of rcl's message, without locations in rcl's sources. */
export function initFailure(message: string): Pi05Error {
  const [line = ''] = message.split('\n');
  const reason = line.replace(/,? at [^ ,]+:\d+/g, '').replace(/[. ]+$/, '');
  const usage = /^(Couldn't parse|Unknown ROS arguments)/.test(reason);
  const sentence = reason.charAt(0).toLowerCase() + reason.slice(1);
  return usage
    ? new Pi05Error('USAGE', `Expected ROS arguments, but ${sentence}`)
    : new Pi05Error('ENVIRONMENT', `Expected ROS to start, but it ${sentence}`);
}
