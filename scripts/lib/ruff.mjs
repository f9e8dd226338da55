import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { inRoot, local } from './paths.mjs';
import { installWheels } from './wheels.mjs';

const target = local('ruff');
const requirements = inRoot('scripts', 'requirements', 'lint.txt');

/** The linter of the Python files. */
export const ruff = join(target, 'bin', 'ruff');

/** Installs ruff in a directory of its own, so that a new version does not need a new Python environment. */
export const ruffStep = {
  name: 'ruff',
  title: 'Linter for Python',
  inputs: () => [readFileSync(requirements, 'utf8')],
  ready: () => existsSync(ruff),
  megabytes: 40,
  async execute(log) {
    rmSync(target, { recursive: true, force: true });
    await installWheels(log, target, requirements);
  },
};
