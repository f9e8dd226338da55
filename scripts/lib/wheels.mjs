import { venvPython } from './paths.mjs';
import { run } from './run.mjs';

/**
 * Installs wheels from PyPI in a directory of their own, outside the Python environment. Needs that environment for pip.
 * @param {string} target the directory
 * @param {string} requirements a file of pinned requirements
 * @param {string[]} options more options of pip install
 */
export const installWheels = (log, target, requirements, options = []) =>
  run(log, venvPython, [
    ...['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--only-binary', ':all:', ...options],
    ...['--target', target, '-r', requirements],
  ]);
