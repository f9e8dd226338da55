import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, or the directory where npm installed this package. `local` is for what setup stores: see CONTRIBUTING.md. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const inRoot = (...parts) => join(root, ...parts);
export const local = (...parts) => join(root, '.pi05', ...parts);

/** Whether npm installed this package: without sources and tests, and with dependencies in a directory above. */
export const isInstalled = !existsSync(inRoot('src'));

/** The setup command, for error sentences. */
export const setupCommand = isInstalled ? 'npx pi05 setup' : 'npm run setup';

/** The directory of a dependency of the package at `importer`, resolved as Node does; in this node_modules if it is not installed. */
export function dependency(name, importer = root) {
  for (let directory = importer; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (existsSync(candidate)) return candidate;
    if (dirname(directory) === directory) return inRoot('node_modules', name);
  }
}

export const venv = local('venv');
export const venvPython = join(venv, 'bin', 'python');
export const nativeBuild = inRoot('build', 'native');
export const addon = join(nativeBuild, 'Release', 'pi05.node');
