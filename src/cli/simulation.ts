import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Pi05Error } from '../errors.js';
import { NODE_NAME } from '../config/file.js';
import { guardSocketPath } from '../guard/socket.js';
import { packageRoot, setupCommand } from '../package-root.js';
import { Child } from './child.js';
import { reserveDomain, type Reservation } from './domain.js';

/** Common to the commands that run the node with the simulated arm: Python, a ROS domain, the processes, Ctrl-C. */

/** Time between two checks whether the guard can be reached, ms. */
const POLL_MS = 50;

/** The command was interrupted by a signal. */
export class Interrupted extends Error {}

/** Rejects with Interrupted at SIGINT, SIGTERM or SIGHUP. */
export function interruption(): Promise<never> {
  const promise = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => reject(new Interrupted()));
  });
  promise.catch(() => undefined);
  return promise;
}

/** Runs a command to its end. Ctrl-C ends it with "Stopped." and the status that shells use for SIGINT. */
export async function untilInterrupted(command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    process.stdout.write(process.stdout.isTTY ? '\nStopped.\n' : 'Stopped.\n');
    return 130;
  }
}

/** The Python that setup installed for the simulated arm. @throws Pi05Error ENVIRONMENT. */
export function simulationPython(): string {
  const python = join(packageRoot, '.pi05', 'venv', 'bin', 'python');
  if (!existsSync(python)) {
    throw new Pi05Error('ENVIRONMENT', `Expected Python at ${python}, found none: run \`${setupCommand} --rendering\``);
  }
  return python;
}

/** @throws Pi05Error ENVIRONMENT. */
export async function freeDomain(): Promise<Reservation> {
  const reservation = await reserveDomain();
  if (reservation === undefined) throw new Pi05Error('ENVIRONMENT', 'Expected a free ROS domain, found none');
  return reservation;
}

/** The processes of one simulation in one ROS domain, on this machine only. */
export class SimulationProcesses {
  readonly #children: Child[] = [];
  /** Of the guard's socket and its latch, so that no earlier simulation in the same domain has left one. */
  readonly #runtimeDirectory = mkdtempSync(join(tmpdir(), 'pi05-'));

  /** @param purpose what the processes run for, for error messages: "the demo". */
  constructor(
    private readonly domain: number,
    private readonly purpose: string,
  ) {}

  /** Starts a program in the package's directory. @param onLine receives each line of its stdout. */
  start(name: string, command: string, args: readonly string[], onLine?: (line: string) => void): Child {
    const child = new Child(name, command, args, { cwd: packageRoot, env: this.#environment }, onLine);
    this.#children.unshift(child);
    return child;
  }

  /**
   * Starts the guard, and the policy node once the guard can be reached. So the guard is a child of this process, and ends
   * with it even if the node is killed. @param rosArguments of both.
   */
  async startNode(rosArguments: readonly string[]): Promise<Child> {
    const guard = this.#startCommand('the guard', ['guard', ...rosArguments]);
    const socket = guardSocketPath(`/${NODE_NAME}`, this.#environment);
    let ended = false;
    void guard.ended.then(() => (ended = true));
    // Where the guard does not start, the node starts one and reports why that fails.
    while (!existsSync(socket) && !ended) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    return this.#startCommand('the policy node', ['node', ...rosArguments]);
  }

  #startCommand(name: string, args: readonly string[]): Child {
    return this.start(name, process.execPath, [join(packageRoot, 'dist', 'cli', 'main.js'), ...args]);
  }

  get #environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      ROS_DOMAIN_ID: String(this.domain),
      ROS_AUTOMATIC_DISCOVERY_RANGE: 'LOCALHOST',
      XDG_RUNTIME_DIR: this.#runtimeDirectory,
    };
  }

  /** Rejects when the process ends. @throws Pi05Error INTERNAL. */
  async failure(child: Child): Promise<never> {
    throw this.endedEarly(child, (await child.ended).status);
  }

  endedEarly(child: Child, status: number | undefined): Pi05Error {
    const ending = status === undefined ? 'was killed' : `ended with status ${status}`;
    const lastLines = child.lastLines === '' ? '' : `: ${child.lastLines}`;
    return new Pi05Error(
      'INTERNAL',
      `Expected ${child.name} to run until the end of ${this.purpose}, but it ${ending}${lastLines}`,
    );
  }

  /** Ends all processes, the last one that was started first. Start the node last: the others then receive its stop action. */
  async end(): Promise<void> {
    for (const child of this.#children) await child.end();
    rmSync(this.#runtimeDirectory, { recursive: true, force: true });
  }
}
