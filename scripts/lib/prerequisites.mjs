import { statfsSync } from 'node:fs';

import { root } from './paths.mjs';
import { Problem } from './problem.mjs';
import { basePython } from './python.mjs';
import { checkSourcedRos, sourcedRos } from './ros.mjs';
import { output } from './run.mjs';

/** Commands that set-up uses, each with the Debian package it is in. */
const COMMANDS = { npm: 'npm', cmake: 'cmake', make: 'make', 'g++': 'g++', flock: 'util-linux' };

/** Libraries that rendering without a screen loads, each with its Debian package; Mesa's driver comes as a third. */
const RENDERING = { 'libEGL.so.1': 'libegl1', 'libOpenGL.so.0': 'libopengl0' };
const DRIVER = 'libgl1-mesa-dri';

/** What apt installs so that MuJoCo can render without a screen. */
export const RENDERING_REMEDY = `apt-get install ${[...Object.values(RENDERING), DRIVER].join(' ')}`;

function missingLibraries() {
  const known = output('/sbin/ldconfig', ['--print-cache']);
  return known === undefined ? [] : Object.keys(RENDERING).filter((library) => !known.includes(library));
}

/** Refuses a disk on which what these steps make has no room; a step that made its part before overwrites it. */
export function checkRoom(steps) {
  const needed = steps.filter((step) => !step.ready()).reduce((sum, step) => sum + step.megabytes, 0);
  const { bavail, bsize } = statfsSync(root);
  const free = Math.floor((bavail * bsize) / 1e6);
  if (free < needed) {
    throw new Problem(
      `Expected ${needed} MB free for ${root}, found ${free} MB: free some room, or clone it elsewhere.`,
      2,
    );
  }
}

/**
 * Each thing set-up cannot bring itself, before any time is spent. Throws a Problem that names the remedy.
 * @param {{rendering: boolean, python: boolean}} needs
 */
export function checkPrerequisites({ rendering, python }) {
  if (root.includes(':')) {
    throw new Problem(
      `Expected a checkout path without ':', which separates paths in ROS 2, found ${root}: move it.`,
      2,
    );
  }
  const ros = sourcedRos();
  if (ros) checkSourcedRos(ros);
  else if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Problem(
      `Expected Linux on x86-64, where set-up can bring ROS 2 along, found ${process.platform} on ${process.arch}: install and source ROS 2 Jazzy.`,
      2,
    );
  }
  const commands = Object.keys(COMMANDS).filter((command) => output(command, ['--version']) === undefined);
  const libraries = rendering ? missingLibraries() : [];
  if (commands.length + libraries.length > 0) {
    const packages = commands.map((command) => COMMANDS[command]);
    packages.push(...libraries.map((library) => RENDERING[library]));
    if (libraries.length > 0) packages.push(DRIVER);
    throw new Problem(
      `Not found: ${[...commands, ...libraries].join(', ')}. Remedy: apt-get install ${packages.join(' ')}`,
      2,
    );
  }
  if (python) basePython();
}
