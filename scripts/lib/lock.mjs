import { accessSync, constants, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';

import { local, root } from './paths.mjs';
import { Problem } from './problem.mjs';
import { inheritDescriptor } from './run.mjs';

/**
 * Two set-ups in one checkout take turns. The lock is the kernel's (flock on an open file), so it can never go stale:
 * it ends with this process and whatever this process started. The file's content, the holder's pid, is for people.
 */
export async function takeTurns() {
  const path = local('setup.lock');
  const descriptor = open(path);
  const stdio = ['ignore', 'ignore', 'ignore', descriptor];
  const attempt = spawnSync('flock', ['--nonblock', '3'], { stdio });
  if (attempt.status !== 0) {
    process.stderr.write(
      `Another set-up (process ${readFileSync(path, 'utf8').trim()}) is working in this checkout; waiting for it.\n`,
    );
    await new Promise((resolve) => spawn('flock', ['3'], { stdio }).once('close', resolve));
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`);
  inheritDescriptor(descriptor);
}

function open(path) {
  try {
    accessSync(root, constants.W_OK); // mkdir's own code is ENOENT where a file system is read-only
    mkdirSync(local(), { recursive: true });
    return openSync(path, 'a+');
  } catch (error) {
    throw new Problem(
      `Expected to write in ${root}, received ${error.code}: make it writable, or clone it elsewhere.`,
      2,
    );
  }
}
