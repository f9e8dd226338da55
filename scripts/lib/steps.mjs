import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { local, root } from './paths.mjs';
import { Problem } from './problem.mjs';
import { CommandFailed, Log } from './run.mjs';

/**
 * A step of set-up:
 * - `name`: of its stamp and its log; `title`: of its progress line;
 * - `inputs()`: strings that decide whether it is stale;
 * - `ready()`: whether what it made is still there;
 * - `megabytes`: about what it makes, here;
 * - `work(log)`: makes it. Must be safe to repeat after a kill at any point.
 * @typedef {{name: string, title: string, inputs: () => string[], ready: () => boolean, megabytes: number, work: (log: Log) => Promise<void>}} Step
 */

const stampPath = (step) => local('stamps', step.name);

function fingerprint(step) {
  const hash = createHash('sha256');
  for (const input of [root, ...step.inputs()]) hash.update(`${input.length}:`).update(input);
  return hash.digest('hex');
}

/** Whether a step's inputs are those of its last success and its outputs are still there. */
export function isFresh(step) {
  const path = stampPath(step);
  return existsSync(path) && readFileSync(path, 'utf8') === fingerprint(step) && step.ready();
}

/** Makes a step stale. */
export function forget(step) {
  rmSync(stampPath(step), { force: true });
}

const NO_NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|getaddrinfo|NewConnectionError|name resolution|Network is unreachable|Failed to establish a new connection/;

const NO_ROOM = /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/;

/** Runs one stale step with its progress lines; the stamp is written only after it succeeded. */
export async function perform(step, number, count) {
  const started = performance.now();
  const key = fingerprint(step);
  const label = `[${number}/${count}] ${step.title}`;
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  process.stderr.write(`${label} …\n`);
  const beat = setInterval(() => process.stderr.write(`${label} … ${seconds()} s\n`), 15_000);
  const log = new Log(step.name);
  try {
    forget(step);
    await step.work(log);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    if (NO_NETWORK.test(error.text)) {
      throw new Problem(
        `${step.title} could not be downloaded: connect to the network and start again (log: ${error.log}).`,
      );
    }
    if (NO_ROOM.test(error.text)) {
      throw new Problem(
        `${step.title} found no room on the disk: free some in ${root} or in ${tmpdir()} and start again (log: ${error.log}).`,
      );
    }
    throw new Problem(
      `${error.tail()}\n\n${step.title} failed after ${seconds()} s: ${error.message} (log: ${error.log}).`,
    );
  } finally {
    clearInterval(beat);
    log.close();
  }
  mkdirSync(local('stamps'), { recursive: true });
  writeFileSync(`${stampPath(step)}.new`, key);
  renameSync(`${stampPath(step)}.new`, stampPath(step));
  process.stderr.write(`${label} done in ${seconds()} s\n`);
}

/** Names and contents of the files under the given paths (relative to the checkout), as step inputs. */
export function contents(...paths) {
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
