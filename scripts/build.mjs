/** Builds the native engine and TypeScript, even if setup considers them up to date. CMake and tsc compile only what changed. */
import { nativeStep } from './lib/native.mjs';
import { markStale } from './lib/steps.mjs';
import { typescriptStep } from './lib/typescript.mjs';
import { main } from './lib/user-error.mjs';
import { setup } from './setup.mjs';

await main(async () => {
  for (const step of [nativeStep, typescriptStep]) markStale(step);
  await setup();
});
