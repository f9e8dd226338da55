import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { local, root } from './paths.mjs';
import { CommandFailed, Log } from './run.mjs';
import { UserError } from './user-error.mjs';

/**
 * A step of setup:
 * - `name`: names its stamp and its log; `title`: for progress lines;
 * - `inputs()`: strings; the step is out of date when they change;
 * - `ready()`: whether its output exists;
 * - `megabytes`: approximate size of its output;
 * - `execute(log)`: creates the output. Must be repeatable after a kill at any point.
 * @typedef {{name: string, title: string, inputs: () => string[], ready: () => boolean, megabytes: number, execute: (log: Log) => Promise<void>}} Step
 */

const stampPath = (step) => local('stamps', step.name);

function fingerprint(step) {
  const hash = createHash('sha256');
  for (const input of [root, ...step.inputs()]) hash.update(`${input.length}:`).update(input);
  return hash.digest('hex');
}

/** Whether the inputs of a step are those of its last success and its output exists. */
export function isUpToDate(step) {
  const path = stampPath(step);
  return existsSync(path) && readFileSync(path, 'utf8') === fingerprint(step) && step.ready();
}

/** Makes a step out of date. */
export function markStale(step) {
  rmSync(stampPath(step), { force: true });
}

const NO_NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|getaddrinfo|NewConnectionError|name resolution|Network is unreachable|Failed to establish a new connection/;

const NO_SPACE = /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/;

let progress = process.stderr;

/** Prints progress on stdout from now on, not on stderr. */
export function printProgressOnStdout() {
  progress = process.stdout;
}

/** Prints a line of progress. */
export function printProgress(line) {
  progress.write(`${line}\n`);
}

/** Runs one step and prints its progress. Writes the stamp after success. */
export async function runStep(step, number, count) {
  const started = performance.now();
  const key = fingerprint(step);
  const label = `[${number}/${count}] ${step.title}`;
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  printProgress(`${label} …`);
  const timer = setInterval(() => printProgress(`${label} … ${seconds()} s`), 15_000);
  const log = new Log(step.name);
  try {
    markStale(step);
    await step.execute(log);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    if (NO_NETWORK.test(error.text)) {
      throw new UserError(
        `${step.title}: the download failed. Connect to the network and start again (log: ${error.log}).`,
      );
    }
    if (NO_SPACE.test(error.text)) {
      throw new UserError(
        `${step.title}: the disk is full. Free some space in ${root} or ${tmpdir()} and start again (log: ${error.log}).`,
      );
    }
    throw new UserError(
      `${error.tail()}\n\n${step.title} failed after ${seconds()} s: ${error.message} (log: ${error.log}).`,
    );
  } finally {
    clearInterval(timer);
    log.close();
  }
  mkdirSync(local('stamps'), { recursive: true });
  writeFileSync(`${stampPath(step)}.new`, key);
  renameSync(`${stampPath(step)}.new`, stampPath(step));
  printProgress(`${label} done in ${seconds()} s`);
}

/** Names and contents of the files at the given paths (relative to the checkout), as inputs of a step. */
export function fileContents(...paths) {
  const found = [];
  const visit = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    const entries = readdirSync(full, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      if (entry.isDirectory()) visit(join(path, entry.name));
      else found.push(join(path, entry.name), readFileSync(join(full, entry.name), 'latin1'));
    }
  };
  for (const path of paths) {
    if (/\.[a-z]+$/.test(path)) {
      if (existsSync(join(root, path))) found.push(path, readFileSync(join(root, path), 'latin1'));
    } else visit(path);
  }
  return found;
}
