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
import { isFresh, perform } from './lib/steps.mjs';
import { typescriptStep } from './lib/typescript.mjs';

const STEPS = [pythonStep, modulesStep, rclnodejsStep, nativeStep, typescriptStep];

/**
 * Runs the stale steps, in order; later steps are judged after earlier ones ran.
 * @param {{also?: import('./lib/steps.mjs').Step[]}} [options] `also`: steps that only the caller needs
 * @returns {Promise<number>} how many steps ran
 */
export async function setup({ also = [] } = {}) {
  const steps = [...STEPS, ...also];
  if (steps.every(isFresh)) return 0;
  checkPrerequisites();
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
    const ran = await setup();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(ran === 0 ? 'Everything is up to date.\n' : `Set-up done in ${seconds} s.\n`);
  });
}
