import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { errorMessage, Pi05Error } from '../errors.js';
import { packageRoot } from '../package-root.js';

/** The environment variable with the process id of the policy that has started the guard. */
export const STARTED_BY = 'PI05_GUARD_STARTED_BY';
/** How long a guard may take from its start until it accepts a connection, ms. A busy machine takes seconds to load ROS. */
const START_TIMEOUT_MS = 30_000;
/** How often a guard that ends before it accepts a connection is started again. */
const RESTARTS = 2;
/** Time between two attempts to connect, ms. */
const RETRY_MS = 50;

/**
 * Connects to the guard, and starts one where none runs: detached, in a process session of its own, so that no signal to
 * the policy's process group reaches it and it outlives the policy.
 * @param path of the guard's socket. @param argv the arguments after `pi05 node`, which the guard gets too.
 * @param cancelled checked between attempts. @returns undefined if it was cancelled; a guard that was started without a connection is ended.
 * @throws Pi05Error ENVIRONMENT where no guard accepts a connection within `START_TIMEOUT_MS`.
 */
export async function connectToGuard(
  path: string,
  argv: readonly string[],
  cancelled: () => boolean,
): Promise<Socket | undefined> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let ending: string | undefined;
  let restarts = RESTARTS;
  let started: ChildProcess | undefined;
  while (!cancelled()) {
    const result = await tryConnect(path);
    if (typeof result !== 'string') return result;
    const crashed = ending !== undefined && !ending.endsWith('status 2');
    if (started === undefined || (crashed && restarts-- > 0)) {
      ending = undefined;
      started = startGuard(argv, (how) => (ending = how));
    }
    if (performance.now() > deadline) {
      started.kill('SIGTERM');
      const how = ending ?? `does not accept a connection within ${START_TIMEOUT_MS / 1000} s (${result})`;
      throw new Pi05Error('ENVIRONMENT', `Expected the guard to start, but it ${how}; see its log above`);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  started?.kill('SIGTERM');
  return undefined;
}

/** @returns the connection, or why there is none. */
function tryConnect(path: string): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => resolve(error.message));
  });
}

/** @param onEnd called where the process could not be started or has ended, with how. */
function startGuard(argv: readonly string[], onEnd: (how: string) => void): ChildProcess {
  const main = join(packageRoot, 'dist', 'cli', 'main.js');
  const env = { ...process.env, [STARTED_BY]: String(process.pid) };
  const child = spawn(process.execPath, [main, 'guard', ...argv], { detached: true, stdio: 'inherit', env });
  child.once('error', (error) => onEnd(`could not be started: ${errorMessage(error)}`));
  child.once('exit', (status, signal) => onEnd(`ended with ${signal ?? `status ${status}`}`));
  child.unref();
  return child;
}
