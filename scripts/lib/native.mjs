import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { addon, dependency, inRoot, nativeBuild } from './paths.mjs';
import { run } from './run.mjs';
import { contents } from './steps.mjs';

/** A build that was killed leaves this behind. */
const underWay = join(nativeBuild, 'under-way');

/**
 * CMake refuses a build folder that was configured for another place: a checkout that was moved starts anew. So does one
 * whose build was killed under make, which takes a half-written object for a finished one; ninja does not.
 */
function dropUnusableBuild() {
  const cache = join(nativeBuild, 'CMakeCache.txt');
  if (!existsSync(cache)) return;
  const text = readFileSync(cache, 'utf8');
  const foreign = !text.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${inRoot('native')}\n`);
  const doubtful = existsSync(underWay) && !text.includes('CMAKE_GENERATOR:INTERNAL=Ninja\n');
  if (foreign || doubtful) rmSync(nativeBuild, { recursive: true });
  else if (!loads()) rmSync(addon, { force: true });
}

/** Whether the addon is there and fits this Node and this machine's libraries. */
function loads() {
  try {
    createRequire(import.meta.url)(addon);
    return true;
  } catch {
    return false;
  }
}

/** The native engine, its addon and its tests. CMake repeats only what changed. */
export const nativeStep = {
  name: 'native',
  title: 'Native engine',
  inputs: () => [process.versions.modules, ...contents('native', 'test/native', 'test/gpu', 'package-lock.json')],
  ready: loads,
  megabytes: 50,
  async work(log) {
    dropUnusableBuild();
    mkdirSync(nativeBuild, { recursive: true });
    writeFileSync(underWay, '');
    const cmakeJs = join(dependency('cmake-js'), 'bin', 'cmake-js');
    const common = ['-d', inRoot('native'), '-O', nativeBuild, '-l', 'warn'];
    try {
      await run(log, process.execPath, [cmakeJs, 'configure', ...common]);
      await run(log, process.execPath, [cmakeJs, 'build', ...common, '-p', '2']);
    } finally {
      rmSync(underWay);
    }
  },
};
