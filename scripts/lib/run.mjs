import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';

import { local, root } from './paths.mjs';
import { Problem } from './problem.mjs';

/** What a failed command said last. */
export class CommandFailed extends Error {
  constructor(command, log, text, reason) {
    super(`${command} ${reason}`);
    this.log = log;
    this.text = text;
  }

  /** The last lines of the log, for the person who has to mend it. */
  tail(lines = 15) {
    return this.text.trimEnd().split('\n').slice(-lines).join('\n');
  }
}

let inherited = [];
let working;

/**
 * File descriptors every child keeps open: the set-up lock lives as long as anything that set-up started,
 * so that a killed set-up's orphans are waited for.
 */
export function inheritDescriptor(descriptor) {
  inherited = [descriptor];
}

/**
 * A signal ends what is under way and then this process. Ctrl-C on a terminal reaches the children by itself; a child
 * that has this terminal is waited for, so that its last words are read.
 */
let foreground;
let endedBy;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    endedBy = 128 + constants.signals[signal];
    if (signal !== 'SIGINT' || !process.stdin.isTTY) (foreground ?? working)?.kill(signal);
    if (!foreground) process.exit(endedBy);
  });
}

/** A log file of a step's commands, under .pi05/logs. */
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
  working = child;
  const reason = await new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not start: ${error.message}`));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? '' : signal ? `was ended by ${signal}` : `exited with ${code}`),
    );
  });
  working = undefined;
  if (reason) throw new CommandFailed(command, log.path, readFileSync(log.path, 'utf8'), reason);
}

/** A short command's standard output, or undefined when it fails. */
export function output(command, args, options = {}) {
  const stdio = ['ignore', 'pipe', 'pipe'];
  const result = spawnSync(command, args, { encoding: 'utf8', cwd: root, stdio, ...options });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** Runs a command on this terminal and gives its exit status (128 + n after signal n). */
export function runHere(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: options.env ?? process.env,
      stdio: options.stdio ?? 'inherit',
    });
    foreground = child;
    child.once('error', (error) => reject(new Problem(`Could not start ${command}: ${error.message}.`)));
    child.once('close', (code, signal) => {
      foreground = undefined;
      if (endedBy) process.exit(endedBy);
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}
