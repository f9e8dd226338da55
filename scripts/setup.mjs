/**
 * Makes a checkout ready: `npm run setup`; the other scripts call `setup()` first. Where npm installed this package it is
 * `pi05 setup`. Plain Node, because it runs before there is a node_modules. Each step is repeated only when its inputs
 * changed since it last succeeded.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { cudaCompilerStep } from './lib/cuda-compiler.mjs';
import { takeTurns } from './lib/lock.mjs';
import { nativeStep } from './lib/native.mjs';
import { modulesStep, rclnodejsStep } from './lib/node.mjs';
import { isInstalled } from './lib/paths.mjs';
import { checkPrerequisites, checkRoom } from './lib/prerequisites.mjs';
import { main, Problem } from './lib/problem.mjs';
import { pythonStep } from './lib/python.mjs';
import { renderingStep } from './lib/rendering.mjs';
import { sourcedRos } from './lib/ros.mjs';
import { isFresh, perform } from './lib/steps.mjs';
import { typescriptStep, unitTestsStep } from './lib/typescript.mjs';

const HELP = `Usage: pi05 setup [--rendering]        in a checkout: npm run setup

Brings what is missing: ROS 2 Jazzy unless a ROS 2 is sourced, Node packages, rclnodejs against that ROS 2, the native
engine. Starts nothing, changes nothing outside this folder, and does nothing twice.

  --rendering   and what the simulated arm of \`pi05 demo\` needs
`;

/**
 * Runs the stale steps, in order; later steps are judged after earlier ones ran.
 * @param {object} [needs] what the caller needs beyond a working `bin/pi05`
 * @param {boolean} [needs.rendering] the simulated arm and its cameras
 * @param {boolean} [needs.unitTests] the compiled unit tests
 * @param {boolean} [needs.product] false: only the tools, nothing compiled of this project
 * @param {boolean} [needs.tools] the Python tools, also where a sourced ROS 2 makes them unnecessary for the product
 * @param {boolean} [needs.cudaCompiler] nvcc from PyPI; needs `tools`
 * @returns {Promise<number>} how many steps ran
 */
export async function setup({
  rendering = false,
  unitTests = false,
  product = true,
  tools = unitTests,
  cudaCompiler = false,
} = {}) {
  const python = tools || rendering || sourcedRos() === undefined;
  const steps = [
    ...(python ? [pythonStep] : []),
    ...(rendering ? [renderingStep] : []),
    ...(cudaCompiler ? [cudaCompilerStep] : []),
    modulesStep,
    rclnodejsStep,
    ...(product ? [nativeStep] : []),
    ...(product && !isInstalled ? [typescriptStep] : []),
    ...(unitTests ? [unitTestsStep] : []),
  ];
  if (steps.every(isFresh)) return 0;
  checkPrerequisites({ rendering, python });
  await takeTurns();
  checkRoom(steps.filter((step) => !isFresh(step)));
  let ran = 0;
  for (const [index, step] of steps.entries()) {
    if (isFresh(step)) continue;
    await perform(step, index + 1, steps.length);
    ran++;
  }
  return ran;
}

function options() {
  try {
    const { values } = parseArgs({
      options: { rendering: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    return values;
  } catch (error) {
    throw new Problem(`${error.message.replace(/\.?$/, '')}; see pi05 setup --help.`, 2);
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const { rendering, help } = options();
    if (help) {
      process.stdout.write(HELP);
      return;
    }
    const started = performance.now();
    const ran = await setup({ rendering });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(ran === 0 ? 'Everything is up to date.\n' : `Set-up done in ${seconds} s.\n`);
  });
}
