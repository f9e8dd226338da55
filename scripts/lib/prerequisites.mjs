import { statfsSync } from 'node:fs';

import { root } from './paths.mjs';
import { basePython, canInstallRos, CONTAINER } from './python.mjs';
import { checkSourcedRos, sourcedRos } from './ros.mjs';
import { output } from './run.mjs';
import { UserError } from './user-error.mjs';

/** Commands that setup uses, with their Debian packages. */
const COMMANDS = { npm: 'npm', cmake: 'cmake', make: 'make', 'g++': 'g++', flock: 'util-linux' };

/** Libraries that headless rendering loads, with their Debian packages. Mesa's driver is a third package. */
const RENDERING = { 'libEGL.so.1': 'libegl1', 'libOpenGL.so.0': 'libopengl0' };
const DRIVER = 'libgl1-mesa-dri';

/** The command that installs what MuJoCo needs for headless rendering. */
export const RENDERING_REMEDY = `apt-get install ${[...Object.values(RENDERING), DRIVER].join(' ')}`;

function missingLibraries() {
  const known = output('/sbin/ldconfig', ['--print-cache']);
  return known === undefined ? [] : Object.keys(RENDERING).filter((library) => !known.includes(library));
}

/** Throws a UserError if the disk has too little space for the steps that have no output yet. */
export function checkDiskSpace(steps) {
  const needed = steps.filter((step) => !step.ready()).reduce((sum, step) => sum + step.megabytes, 0);
  const { bavail, bsize } = statfsSync(root);
  const free = Math.floor((bavail * bsize) / 1e6);
  if (free < needed) {
    throw new UserError(
      `Expected ${needed} MB free for ${root}, found ${free} MB: free some space, or clone it elsewhere.`,
      2,
    );
  }
}

/**
 * Checks everything that setup cannot install itself. Throws a UserError that names the remedy.
 * @param {{rendering: boolean, python: boolean}} needs
 */
export function checkPrerequisites({ rendering, python }) {
  if (root.includes(':')) {
    throw new UserError(
      `Expected a checkout path without ':', which separates paths in ROS 2, found ${root}: move it.`,
      2,
    );
  }
  const ros = sourcedRos();
  const own = 'start from a shell without a sourced ROS 2 to use the one that setup installs, or ';
  if (ros) checkSourcedRos(ros, `${canInstallRos() ? own : ''}${CONTAINER}`);
  else if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new UserError(
      `Expected Linux on x86-64, for which setup can install ROS 2, found ${process.platform} on ${process.arch}: ${CONTAINER}, or source a ROS 2 Jazzy or later (Ubuntu 24.04 has it in apt).`,
      2,
    );
  }
  const commands = Object.keys(COMMANDS).filter((command) => output(command, ['--version']) === undefined);
  const libraries = rendering ? missingLibraries() : [];
  if (commands.length + libraries.length > 0) {
    const packages = commands.map((command) => COMMANDS[command]);
    packages.push(...libraries.map((library) => RENDERING[library]));
    if (libraries.length > 0) packages.push(DRIVER);
    throw new UserError(
      `Not found: ${[...commands, ...libraries].join(', ')}. Remedy: apt-get install ${packages.join(' ')}`,
      2,
    );
  }
  if (python) basePython();
}
