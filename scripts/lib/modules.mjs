import { existsSync, readFileSync } from 'node:fs';

import { inRoot } from './paths.mjs';

/** Packages that are needed to compile, not to run. */
const BUILD_ONLY = new Set(['cmake-js', 'node-addon-api', 'node-api-headers', 'node-gyp']);

/** The directories in node_modules (relative to the checkout) that are needed at run time, from package-lock.json. */
export function runtimeModules() {
  const { packages } = JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8'));
  const found = new Set();
  /** The path of a dependency, resolved as Node does: in the package that imports it, then in each directory above. */
  const resolve = (name, importer) => {
    for (
      let directory = importer;
      ;
      directory = directory.slice(0, Math.max(0, directory.lastIndexOf('/node_modules/')))
    ) {
      const path = `${directory}${directory ? '/' : ''}node_modules/${name}`;
      if (path in packages) return path;
      if (directory === '') return undefined;
    }
  };
  const visit = (importer) => {
    const { dependencies, optionalDependencies } = packages[importer];
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (BUILD_ONLY.has(name)) continue;
      const path = resolve(name, importer);
      // Optional packages for other platforms are not installed.
      if (path === undefined || found.has(path) || !existsSync(inRoot(path))) continue;
      found.add(path);
      visit(path);
    }
  };
  visit('');
  return [...found].sort();
}
