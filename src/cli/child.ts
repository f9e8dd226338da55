import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

const LINES_KEPT = 5;

/** How a child process ended. */
export interface Ending {
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

/**
 * A child process in its own process group, so that Ctrl-C in the terminal reaches only this process, which then ends its
 * children in order.
 */
export class Child {
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  #ending: Ending | undefined;

  constructor(
    readonly name: string,
    command: string,
    args: readonly string[],
    options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
    onLine: (line: string) => void = () => undefined,
  ) {
    this.#process = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const { stdout, stderr } = this.#process;
    if (stdout) createInterface(stdout).on('line', onLine);
    if (stderr) createInterface(stderr).on('line', (line) => this.#keep(line));
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.#keep(error.message);
        resolve((this.#ending = { status: undefined, signal: undefined }));
      });
      this.#process.once('close', (status, signal) =>
        resolve((this.#ending = { status: status ?? undefined, signal: signal ?? undefined })),
      );
    });
  }

  /** The last lines that the process wrote to stderr. */
  get lastLines(): string {
    return this.#lines.join('\n');
  }

  /** Sends SIGINT, and SIGKILL after `timeout` ms. */
  async end(timeout = 5000): Promise<Ending> {
    if (this.#ending !== undefined) return this.#ending;
    this.#process.kill('SIGINT');
    const force = setTimeout(() => this.#process.kill('SIGKILL'), timeout);
    const ending = await this.ended;
    clearTimeout(force);
    return ending;
  }

  #keep(line: string): void {
    if (line.trim() === '') return;
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.shift();
  }
}
