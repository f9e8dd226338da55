import { accessSync, constants, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';

import { local, root } from './paths.mjs';
import { inheritDescriptor } from './run.mjs';
import { printProgress } from './steps.mjs';
import { UserError } from './user-error.mjs';

/**
 * Waits until no other setup runs in this checkout. The lock is an flock on an open file, so it cannot become stale: the
 * kernel releases it when this process and its children have ended. The file contains the pid of the holder, for people.
 */
export async function acquireSetupLock() {
  const path = local('setup.lock');
  const descriptor = open(path);
  const stdio = ['ignore', 'ignore', 'ignore', descriptor];
  const attempt = spawnSync('flock', ['--nonblock', '3'], { stdio });
  if (attempt.status !== 0) {
    printProgress(
      `Another setup (process ${readFileSync(path, 'utf8').trim()}) is running in this checkout; waiting for it to end.`,
    );
    await new Promise((resolve) => spawn('flock', ['3'], { stdio }).once('close', resolve));
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`);
  inheritDescriptor(descriptor);
}

function open(path) {
  try {
    accessSync(root, constants.W_OK); // on a read-only file system mkdir reports ENOENT
    mkdirSync(local(), { recursive: true });
    return openSync(path, 'a+');
  } catch (error) {
    throw new UserError(
      `Expected to write in ${root}, received ${error.code}: make it writable, or clone it elsewhere.`,
      2,
    );
  }
}
