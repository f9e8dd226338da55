import { existsSync, readFileSync } from 'node:fs';

import { inRoot } from './paths.mjs';

/** What only compiles: an installed package runs without. */
const BUILD_ONLY = new Set(['cmake-js', 'node-addon-api', 'node-api-headers', 'node-gyp']);

/** The folders of node_modules (relative to the checkout) that this package needs at run time, from package-lock.json. */
export function runtimeModules() {
  const { packages } = JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8'));
  const found = new Set();
  /** A dependency as Node looks for it: below the package that asks, then further up. */
  const place = (name, from) => {
    for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
      const path = `${folder}${folder ? '/' : ''}node_modules/${name}`;
      if (path in packages) return path;
      if (folder === '') return undefined;
    }
  };
  const visit = (from) => {
    const { dependencies, optionalDependencies } = packages[from];
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (BUILD_ONLY.has(name)) continue;
      const path = place(name, from);
      // Optional packages for other platforms are not there.
      if (path === undefined || found.has(path) || !existsSync(inRoot(path))) continue;
      found.add(path);
      visit(path);
    }
  };
  visit('');
  return [...found].sort();
}
