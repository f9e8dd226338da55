import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { addon, dependency, inRoot, nativeBuild } from './paths.mjs';
import { run } from './run.mjs';
import { fileContents } from './steps.mjs';

/** Exists during a build; a build that was killed leaves it. */
const buildMarker = join(nativeBuild, 'build-in-progress');

/**
 * Removes a build directory that cannot be used: one that was configured for another path, which CMake rejects, and one whose
 * build was killed under make, which considers a half-written object file complete (ninja does not).
 */
function removeUnusableBuild() {
  const cache = join(nativeBuild, 'CMakeCache.txt');
  if (!existsSync(cache)) return;
  const text = readFileSync(cache, 'utf8');
  const otherPath = !text.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${inRoot('native')}\n`);
  const interrupted = existsSync(buildMarker) && !text.includes('CMAKE_GENERATOR:INTERNAL=Ninja\n');
  if (otherPath || interrupted) rmSync(nativeBuild, { recursive: true });
  else if (!addonLoads()) rmSync(addon, { force: true });
}

/** Whether the addon exists and can be loaded by this Node on this machine. */
function addonLoads() {
  try {
    createRequire(import.meta.url)(addon);
    return true;
  } catch {
    return false;
  }
}

/** Builds the native engine, its addon and its tests. CMake compiles only what changed. */
export const nativeStep = {
  name: 'native',
  title: 'Native engine',
  inputs: () => [process.versions.modules, ...fileContents('native', 'test/native', 'test/gpu', 'package-lock.json')],
  ready: addonLoads,
  megabytes: 50,
  async execute(log) {
    removeUnusableBuild();
    mkdirSync(nativeBuild, { recursive: true });
    writeFileSync(buildMarker, '');
    const cmakeJs = join(dependency('cmake-js'), 'bin', 'cmake-js');
    const common = ['-d', inRoot('native'), '-O', nativeBuild, '-l', 'warn'];
    try {
      await run(log, process.execPath, [cmakeJs, 'configure', ...common]);
      await run(log, process.execPath, [cmakeJs, 'build', ...common, '-p', '2']);
    } finally {
      rmSync(buildMarker);
    }
  },
};
