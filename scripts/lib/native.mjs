import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { addon, dependency, inRoot, nativeBuild } from './paths.mjs';
import { run } from './run.mjs';
import { contents } from './steps.mjs';

/** CMake refuses a build folder that was configured for another place: a checkout that was moved starts anew. */
function dropForeignBuild() {
  const cache = join(nativeBuild, 'CMakeCache.txt');
  if (
    existsSync(cache) &&
    !readFileSync(cache, 'utf8').includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${inRoot('native')}\n`)
  ) {
    rmSync(nativeBuild, { recursive: true });
  }
}

/** The native engine, its addon and its tests. CMake repeats only what changed. */
export const nativeStep = {
  name: 'native',
  title: 'Native engine',
  inputs: () => [process.versions.modules, ...contents('native', 'test/native', 'test/gpu', 'package-lock.json')],
  ready: () => existsSync(addon),
  async work(log) {
    dropForeignBuild();
    const cmakeJs = dependency('cmake-js', 'bin', 'cmake-js');
    const common = ['-d', inRoot('native'), '-O', nativeBuild, '-l', 'warn'];
    await run(log, process.execPath, [cmakeJs, 'configure', ...common]);
    await run(log, process.execPath, [cmakeJs, 'build', ...common, '-p', '2']);
  },
};
