import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, and what set-up keeps in it. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const inRoot = (...parts) => join(root, ...parts);
export const local = (...parts) => join(root, '.pi05', ...parts);

export const venv = local('venv');
export const venvPython = join(venv, 'bin', 'python');
export const nativeBuild = inRoot('build', 'native');
export const addon = join(nativeBuild, 'Release', 'pi05.node');
