import { existsSync, rmSync } from 'node:fs';

import { inRoot } from './paths.mjs';
import { run } from './run.mjs';
import { fileContents } from './steps.mjs';

const tsc = (log, project) =>
  run(log, process.execPath, [inRoot('node_modules', 'typescript', 'bin', 'tsc'), '-p', project]);

/** Compiles src/ to dist/. */
export const typescriptStep = {
  name: 'typescript',
  title: 'TypeScript',
  inputs: () => fileContents('src', 'tsconfig.json', 'package-lock.json'),
  ready: () => existsSync(inRoot('dist', 'cli', 'main.js')),
  megabytes: 5,
  execute: (log) => tsc(log, inRoot('tsconfig.json')),
};

/** Compiles src/ and test/unit to build/test/, where jest runs them. Removes the output of sources that no longer exist. */
export const unitTestsStep = {
  name: 'unit-tests',
  title: 'Unit tests (compile)',
  inputs: () => fileContents('src', 'test/unit', 'test/tsconfig.json', 'tsconfig.json', 'package-lock.json'),
  ready: () => existsSync(inRoot('build', 'test', 'test', 'unit')),
  megabytes: 5,
  async execute(log) {
    rmSync(inRoot('build', 'test'), { recursive: true, force: true });
    await tsc(log, inRoot('test', 'tsconfig.json'));
  },
};
