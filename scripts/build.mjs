/** Native engine and TypeScript, whatever the stamps say; CMake and tsc repeat only what changed. */
import { nativeStep } from './lib/native.mjs';
import { main } from './lib/problem.mjs';
import { forget } from './lib/steps.mjs';
import { typescriptStep } from './lib/typescript.mjs';
import { setup } from './setup.mjs';

await main(async () => {
  for (const step of [nativeStep, typescriptStep]) forget(step);
  await setup();
});
