import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';

import { local, root } from './paths.mjs';
import { UserError } from './user-error.mjs';

/** A command that did not exit with 0, and its output. */
export class CommandFailed extends Error {
  constructor(command, log, text, reason) {
    super(`${command} ${reason}`);
    this.log = log;
    this.text = text;
  }

  /** The last lines of the output. */
  tail(lines = 15) {
    return this.text.trimEnd().split('\n').slice(-lines).join('\n');
  }
}

let inherited = [];
let loggedChild;

/**
 * Lets every child inherit a file descriptor. With the descriptor of the setup lock, the next setup also waits for children of
 * a setup that was killed.
 */
export function inheritDescriptor(descriptor) {
  inherited = [descriptor];
}

/**
 * A signal ends the running child and then this process. On a terminal, Ctrl-C also reaches the children directly. This process
 * waits for a child that uses the terminal, so that its last output is not lost.
 */
let attachedChild;
let endedBy;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    endedBy = 128 + constants.signals[signal];
    if (signal !== 'SIGINT' || !process.stdin.isTTY) (attachedChild ?? loggedChild)?.kill(signal);
    if (!attachedChild) process.exit(endedBy);
  });
}

/** The log file of a step, in .pi05/logs. */
export class Log {
  constructor(name) {
    mkdirSync(local('logs'), { recursive: true });
    this.path = local('logs', `${name}.log`);
    this.descriptor = openSync(this.path, 'w');
  }

  write(text) {
    writeSync(this.descriptor, text);
  }

  close() {
    closeSync(this.descriptor);
  }
}

/**
 * Runs a command with its output in `log`. Throws CommandFailed when it does not exit with 0.
 * @param {Log} log @param {string} command @param {string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv}} [options]
 */
export async function run(log, command, args, options = {}) {
  log.write(`$ ${[command, ...args].join(' ')}\n`);
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: options.env ?? process.env,
    stdio: ['ignore', log.descriptor, log.descriptor, ...inherited],
  });
  loggedChild = child;
  const reason = await new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not start: ${error.message}`));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? '' : signal ? `was ended by ${signal}` : `exited with ${code}`),
    );
  });
  loggedChild = undefined;
  if (reason) throw new CommandFailed(command, log.path, readFileSync(log.path, 'utf8'), reason);
}

/** The standard output of a short command, or undefined if it fails. */
export function output(command, args, options = {}) {
  const stdio = ['ignore', 'pipe', 'pipe'];
  const result = spawnSync(command, args, { encoding: 'utf8', cwd: root, stdio, ...options });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** Runs a command on this terminal. Resolves with its exit status (128 + n after signal n). */
export function runAttached(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: options.env ?? process.env,
      stdio: options.stdio ?? 'inherit',
    });
    attachedChild = child;
    child.once('error', (error) => reject(new UserError(`Could not start ${command}: ${error.message}.`)));
    child.once('close', (code, signal) => {
      attachedChild = undefined;
      if (endedBy) process.exit(endedBy);
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}
