import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, or the folder that npm installed this package in; and what set-up keeps there. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const inRoot = (...parts) => join(root, ...parts);
export const local = (...parts) => join(root, '.pi05', ...parts);

/** Whether npm installed this: compiled, without sources and tests, and its dependencies may lie further up. */
export const isInstalled = !existsSync(inRoot('src'));

/** How to set up here, for a sentence. */
export const setupCommand = isInstalled ? 'npx pi05 setup' : 'npm run setup';

/** Where a dependency of a package lies: in the nearest node_modules that has it, as Node looks for it; here where none has. */
export function dependency(name, from = root) {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) return inRoot('node_modules', name);
  }
}

export const venv = local('venv');
export const venvPython = join(venv, 'bin', 'python');
export const nativeBuild = inRoot('build', 'native');
export const addon = join(nativeBuild, 'Release', 'pi05.node');
