import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of this package, found from `dist/` and from the tests' build alike. */
export const packageRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(directory: string): string {
  if (existsSync(join(directory, 'package.json')) || dirname(directory) === directory) return directory;
  return findRoot(dirname(directory));
}

/** The command that sets this package up, for error messages: in a checkout, as an npm package or as a ROS package. */
export const setupCommand = existsSync(join(packageRoot, 'src'))
  ? 'npm run setup'
  : existsSync(join(packageRoot, 'scripts', 'setup.mjs'))
    ? 'npx pi05 setup'
    : 'colcon build';
