/** All static checks: `npm run lint`. `npm run format` formats the files with prettier and clang-format. */
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

import { allViolations } from './lib/check-native-includes.mjs';
import { inRoot, root, venv } from './lib/paths.mjs';
import { ruff } from './lib/ruff.mjs';
import { runAttached } from './lib/run.mjs';
import { main } from './lib/user-error.mjs';
import { setup } from './setup.mjs';

const bin = (name, ...parts) => inRoot('node_modules', name, ...parts);
const node = (...args) => runAttached(process.execPath, args);

function cxxFiles() {
  return ['native', 'test/native', 'test/gpu']
    .map((directory) => inRoot(directory))
    .filter(existsSync)
    .flatMap((directory) => readdirSync(directory, { recursive: true }).map((name) => join(directory, name)))
    .filter((path) => /\.(h|cc|cu|cuh)$/.test(path))
    .map((path) => relative(root, path));
}

async function checkNativeIncludes() {
  const found = allViolations(inRoot('native'));
  for (const violation of found) process.stderr.write(`${violation}\n`);
  return found.length === 0 ? 0 : 1;
}

const clangFormat = (...args) => runAttached(join(venv, 'bin', 'clang-format'), [...args, ...cxxFiles()]);
const prettier = (flag) => node(bin('prettier', 'bin', 'prettier.cjs'), flag, '--log-level', 'warn', '.');

const CHECKS = [
  ['types (src)', () => node(bin('typescript', 'bin', 'tsc'), '-p', '.', '--noEmit')],
  ['types (test)', () => node(bin('typescript', 'bin', 'tsc'), '-p', 'test', '--noEmit')],
  ['eslint and the dependency rules of src/', () => node(bin('eslint', 'bin', 'eslint.js'), '.')],
  ['dependency rules of native/', checkNativeIncludes],
  ['figures of docs/performance.md', () => node(inRoot('bench', 'table.mjs'), '--check')],
  ['the diagrams of docs/', () => node(inRoot('docs', 'diagrams.mjs'), '--check')],
  ['prettier', () => prettier('--check')],
  ['ruff', () => runAttached(ruff, ['check', '--quiet', '--no-cache', '.', 'bin/gripper_action_relay'])],
  ['clang-format', () => clangFormat('--dry-run', '--Werror')],
];

await main(async () => {
  await setup({ product: false, tools: true, pythonLinter: true });
  if (process.argv.includes('--fix')) return (await prettier('--write')) || (await clangFormat('-i'));
  let failed = 0;
  for (const [name, check] of CHECKS) {
    const status = await check();
    process.stderr.write(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}\n`);
    if (status !== 0) failed++;
  }
  return failed === 0 ? 0 : 1;
});
