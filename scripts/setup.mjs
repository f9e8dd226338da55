/**
 * Prepares a checkout (`npm run setup`) or an installed npm package (`pi05 setup`). The other scripts call `setup()` first. It
 * uses no packages, because it runs before node_modules exists. A step runs again only if its inputs changed since its last
 * success.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { cudaCompilerStep } from './lib/cuda-compiler.mjs';
import { acquireSetupLock } from './lib/lock.mjs';
import { nativeStep } from './lib/native.mjs';
import { modulesStep, rclnodejsStep } from './lib/node.mjs';
import { isInstalled } from './lib/paths.mjs';
import { checkPrerequisites, checkDiskSpace } from './lib/prerequisites.mjs';
import { pythonStep } from './lib/python.mjs';
import { renderingStep } from './lib/rendering.mjs';
import { sourcedRos } from './lib/ros.mjs';
import { ruffStep } from './lib/ruff.mjs';
import { isUpToDate, printProgress, printProgressOnStdout, runStep } from './lib/steps.mjs';
import { typescriptStep, unitTestsStep } from './lib/typescript.mjs';
import { main, UserError } from './lib/user-error.mjs';

const HELP = `Usage: pi05 setup [--rendering]        in a checkout: npm run setup

Installs what is missing: ROS 2 Jazzy unless a ROS 2 is sourced, Node packages, rclnodejs for that ROS 2, and the native
engine. Changes nothing outside this directory. Steps that are up to date are skipped.

  --rendering            also install what the simulated arm of \`pi05 demo\` needs
  --progress-on-stdout   print progress on stdout, so that only errors are on stderr

The environment variable PI05_ROS_DISTRO=kilted installs ROS 2 Kilted in place of Jazzy. It stays until
PI05_ROS_DISTRO=jazzy is set for another setup.
`;

/**
 * Runs the steps that are out of date, in order. Each is checked after the ones before it ran.
 * @param {object} [needs] what the caller needs in addition to a working `bin/pi05`
 * @param {boolean} [needs.rendering] the simulated arm and its cameras
 * @param {boolean} [needs.unitTests] the compiled unit tests
 * @param {boolean} [needs.product] false: only the tools, without compiling this project
 * @param {boolean} [needs.tools] the Python tools, also with a sourced ROS 2, with which the product does not need them
 * @param {boolean} [needs.cudaCompiler] nvcc from PyPI; needs `tools`
 * @param {boolean} [needs.pythonLinter] ruff; needs `tools`
 * @returns {Promise<number>} how many steps ran
 */
export async function setup({
  rendering = false,
  unitTests = false,
  product = true,
  tools = unitTests,
  cudaCompiler = false,
  pythonLinter = false,
} = {}) {
  const python = tools || rendering || sourcedRos() === undefined;
  const steps = [
    ...(python ? [pythonStep] : []),
    ...(rendering ? [renderingStep] : []),
    ...(cudaCompiler ? [cudaCompilerStep] : []),
    ...(pythonLinter ? [ruffStep] : []),
    modulesStep,
    rclnodejsStep,
    ...(product ? [nativeStep] : []),
    ...(product && !isInstalled ? [typescriptStep] : []),
    ...(unitTests ? [unitTestsStep] : []),
  ];
  if (steps.every(isUpToDate)) return 0;
  checkPrerequisites({ rendering, python });
  await acquireSetupLock();
  checkDiskSpace(steps.filter((step) => !isUpToDate(step)));
  let ran = 0;
  for (const [index, step] of steps.entries()) {
    if (isUpToDate(step)) continue;
    await runStep(step, index + 1, steps.length);
    ran++;
  }
  return ran;
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        rendering: { type: 'boolean' },
        'progress-on-stdout': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    throw new UserError(`${error.message.replace(/\.?$/, '')}; see pi05 setup --help.`, 2);
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const { rendering, 'progress-on-stdout': progressOnStdout, help } = options();
    if (help) {
      process.stdout.write(HELP);
      return;
    }
    if (progressOnStdout) printProgressOnStdout();
    const started = performance.now();
    const ran = await setup({ rendering });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    printProgress(ran === 0 ? 'Everything is up to date.' : `Setup done in ${seconds} s.`);
  });
}
