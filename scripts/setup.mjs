/**
 * Makes a checkout ready: `npm run setup`; the other scripts call `setup()` first. Plain Node, because it runs before
 * there is a node_modules. Each step is repeated only when its inputs changed since it last succeeded.
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { takeTurns } from './lib/lock.mjs';
import { nativeStep } from './lib/native.mjs';
import { modulesStep, rclnodejsStep } from './lib/node.mjs';
import { checkPrerequisites } from './lib/prerequisites.mjs';
import { main } from './lib/problem.mjs';
import { pythonStep } from './lib/python.mjs';
import { renderingStep } from './lib/rendering.mjs';
import { isFresh, perform } from './lib/steps.mjs';
import { typescriptStep, unitTestsStep } from './lib/typescript.mjs';

/**
 * Runs the stale steps, in order; later steps are judged after earlier ones ran.
 * @param {object} [needs] what the caller needs beyond a working `bin/pi05`
 * @param {boolean} [needs.rendering] the simulated arm's cameras
 * @param {boolean} [needs.unitTests] the compiled unit tests
 * @param {boolean} [needs.product] false: only the tools, nothing compiled of this project
 * @returns {Promise<number>} how many steps ran
 */
export async function setup({ rendering = false, unitTests = false, product = true } = {}) {
  const steps = [
    pythonStep,
    ...(rendering ? [renderingStep] : []),
    modulesStep,
    rclnodejsStep,
    ...(product ? [nativeStep, typescriptStep] : []),
    ...(unitTests ? [unitTestsStep] : []),
  ];
  if (steps.every(isFresh)) return 0;
  checkPrerequisites({ rendering });
  await takeTurns();
  let ran = 0;
  for (const [index, step] of steps.entries()) {
    if (isFresh(step)) continue;
    await perform(step, index + 1, steps.length);
    ran++;
  }
  return ran;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const started = performance.now();
    const ran = await setup({ rendering: process.argv.includes('--rendering') });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(ran === 0 ? 'Everything is up to date.\n' : `Set-up done in ${seconds} s.\n`);
  });
}
