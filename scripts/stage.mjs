/** `node scripts/stage.mjs FOLDER`: what node_modules holds for run time, copied there; colcon installs it. */
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { runtimeModules } from './lib/modules.mjs';
import { inRoot } from './lib/paths.mjs';

const target = resolve(process.argv[2]);
const scratch = `${target}.new`;
rmSync(scratch, { recursive: true, force: true });
for (const path of runtimeModules()) {
  const from = inRoot(path);
  const to = join(scratch, relative('node_modules', path));
  mkdirSync(dirname(to), { recursive: true });
  // Objects of the build, and packages below this one, which the list names themselves.
  const skip = (file) => /\/(node_modules|obj\.target|prebuilds)$/.test(file.slice(from.length));
  cpSync(from, to, { recursive: true, dereference: true, filter: (file) => !skip(file) });
}
rmSync(target, { recursive: true, force: true });
renameSync(scratch, target);
