import { existsSync } from 'node:fs';

import { inRoot } from './paths.mjs';
import { run } from './run.mjs';
import { contents } from './steps.mjs';

const tsc = (log, project) =>
  run(log, process.execPath, [inRoot('node_modules', 'typescript', 'bin', 'tsc'), '-p', project]);

/** src/ to dist/. */
export const typescriptStep = {
  name: 'typescript',
  title: 'TypeScript',
  inputs: () => contents('src', 'tsconfig.json', 'package-lock.json'),
  ready: () => existsSync(inRoot('dist', 'cli', 'main.js')),
  megabytes: 5,
  work: (log) => tsc(log, inRoot('tsconfig.json')),
};

/** src/ and test/unit to build/test/, which jest runs. */
export const unitTestsStep = {
  name: 'unit-tests',
  title: 'Unit tests (compile)',
  inputs: () => contents('src', 'test/unit', 'test/tsconfig.json', 'tsconfig.json', 'package-lock.json'),
  ready: () => existsSync(inRoot('build', 'test', 'test', 'unit')),
  megabytes: 5,
  work: (log) => tsc(log, inRoot('test', 'tsconfig.json')),
};
