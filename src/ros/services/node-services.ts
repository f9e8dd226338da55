import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { errorMessage } from '../../errors.js';
import type { Log } from '../log.js';
import { isReadOnly } from '../parameters.js';
import type { LifecycleNode, Parameter, Rcl } from '../rcl.js';
import { MAX_FREED_ENTRIES, TOO_MANY_ENTRIES } from './protocol.js';
import type {
  DeclaredParameter,
  FromNode,
  FromServices,
  LoggerLevel,
  NewValue,
  NodeRequest,
  Result,
} from './protocol.js';

/** Memory that the process may allocate, kB (RLIMIT_DATA). It needs 230 MB; one malformed request would take gigabytes. */
const DATA_LIMIT_KB = 1_000_000;
const HEAP_LIMIT_MB = 256;
/** Time from the end of the process to its next start, ms. */
const RESTART_MS = 1000;
/** Time that the process has to end, ms. It may be decoding a request. */
const END_MS = 500;
/** Loggers whose level may be set; rcutils never forgets one. */
const MAX_LOGGERS = 256;

/**
 * The parameter and logger services of a node. A process with low priority and limited memory serves them (`main.ts`), gets a
 * copy of the parameters, and asks the node to change one. If it ends, it is started again.
 */
export class NodeServices {
  readonly #loggers = new Set<string>();
  #process: ChildProcess | undefined;
  #restart: NodeJS.Timeout | undefined;

  /** @param argv the node's arguments, for the security enclave. @param onRefused called with a sentence per refusal, at most once per second. */
  constructor(
    private readonly rcl: Rcl,
    private readonly node: LifecycleNode,
    private readonly log: Log,
    argv: readonly string[],
    private readonly onRefused: (sentence: string) => void,
  ) {
    const enclave = argv.indexOf('--enclave');
    const rosArguments = enclave < 0 ? [] : ['--ros-args', ...argv.slice(enclave, enclave + 2)];
    node.addPostSetParametersCallback((parameters) => this.#send({ kind: 'changed', values: parameters.map(plain) }));
    this.#start(rosArguments);
  }

  /** Resolves when the process has ended; it is killed if it does not end in time. */
  async close(): Promise<void> {
    clearTimeout(this.#restart);
    const child = this.#process;
    this.#process = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    // The process ends when the channel closes.
    if (child.connected) child.disconnect();
    await ended;
    clearTimeout(timer);
  }

  #start(rosArguments: readonly string[]): void {
    const script = fileURLToPath(new URL('main.js', import.meta.url));
    // The kernel kills it with the node, also when it is stopped or decodes a request.
    const command = `ulimit -d ${DATA_LIMIT_KB}; exec setpriv --pdeathsig KILL nice -n 10 "$0" "$@"`;
    const heap = `--max-old-space-size=${HEAP_LIMIT_MB}`;
    const child = spawn(
      '/bin/sh',
      ['-c', command, process.execPath, heap, script, this.node.getFullyQualifiedName(), ...rosArguments],
      // In a process session of its own, so that Ctrl-C does not end it before the node.
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced', detached: true },
    );
    this.#process = child;
    child.on('message', (message: FromServices) => this.#onMessage(child, message));
    child.on('error', (error) => this.log.error(`the services' process failed: ${error.message}`));
    child.on('exit', (status, signal) => {
      if (this.#process !== child) return;
      if (status === TOO_MANY_ENTRIES) {
        this.onRefused(`Expected at most ${MAX_FREED_ENTRIES} entries in a request, received more: services restarted`);
      } else {
        this.log.throttled('warn', 'services', `their process ended with ${signal ?? `status ${status}`}: restarted`);
      }
      this.#restart = setTimeout(() => this.#start(rosArguments), RESTART_MS);
    });
    this.#send({
      kind: 'declared',
      parameters: this.node.getParameterNames().map((name) => declared(this.node, name)),
    });
  }

  #send(message: FromNode): void {
    const child = this.#process;
    // The callback receives the error of a process that has just ended.
    if (child?.connected) child.send(message, () => {});
  }

  #onMessage(child: ChildProcess, message: FromServices): void {
    if (this.#process !== child) return;
    if (message.kind === 'request') {
      this.#send({ kind: 'response', id: message.id, body: this.#respond(message.request) });
    } else {
      this.onRefused(
        message.count === 1 ? message.reason : `${message.reason} (${message.count} requests in a second)`,
      );
    }
  }

  #respond(request: NodeRequest): readonly Result[] | readonly LoggerLevel[] {
    switch (request.kind) {
      case 'set_parameters':
        return [attempt(() => this.#setParameters(request.values))];
      case 'get_logger_levels':
        return request.names.map((name) => ({ name, level: this.rcl.logging.getLogger(name).loggerEffectiveLevel }));
      case 'set_logger_levels':
        return request.levels.map((level) => attempt(() => this.#setLoggerLevel(level)));
    }
  }

  #setParameters(values: readonly NewValue[]): Result {
    return this.node.setParametersAtomically(
      values.map(({ name, type, value }) => new this.rcl.Parameter(name, type, value)),
    );
  }

  #setLoggerLevel({ name, level }: LoggerLevel): Result {
    this.#loggers.add(name);
    if (this.#loggers.size > MAX_LOGGERS) {
      this.#loggers.delete(name);
      return { successful: false, reason: `Expected at most ${MAX_LOGGERS} loggers, received ${name} in addition` };
    }
    this.rcl.logging.getLogger(name).setLoggerLevel(level);
    return { successful: true, reason: '' };
  }
}

function attempt(action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    return { successful: false, reason: errorMessage(error) };
  }
}

function plain({ name, type, value }: Parameter): NewValue {
  return { name, type, value };
}

function declared(node: LifecycleNode, name: string): DeclaredParameter {
  const descriptor = node.getParameterDescriptor(name);
  const readOnly = isReadOnly(node, name);
  return {
    ...plain(node.getParameter(name)),
    readOnly,
    descriptor: { ...descriptor.toMessage(), read_only: readOnly },
  };
}
