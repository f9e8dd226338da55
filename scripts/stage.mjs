/** `node scripts/stage.mjs DIRECTORY`: copies the runtime dependencies in node_modules to DIRECTORY, for colcon to install. */
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { runtimeModules } from './lib/modules.mjs';
import { inRoot } from './lib/paths.mjs';

const target = resolve(process.argv[2]);
const temporary = `${target}.new`;
rmSync(temporary, { recursive: true, force: true });
for (const path of runtimeModules()) {
  const source = inRoot(path);
  const destination = join(temporary, relative('node_modules', path));
  mkdirSync(dirname(destination), { recursive: true });
  // Skips object files, and nested packages, which are in the list themselves.
  const skip = (file) => /\/(node_modules|obj\.target|prebuilds)$/.test(file.slice(source.length));
  cpSync(source, destination, { recursive: true, dereference: true, filter: (file) => !skip(file) });
}
rmSync(target, { recursive: true, force: true });
renameSync(temporary, target);
