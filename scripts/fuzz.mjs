/** Runs the fuzzers of test/unit/fuzz with many cases: `npm run fuzz -- [TARGET…] [--count N] [--seed S]`. */
import { inRoot } from './lib/paths.mjs';
import { main } from './lib/user-error.mjs';
import { setup } from './setup.mjs';

await main(async () => {
  await setup({ unitTests: true });
  const fuzz = await import(inRoot('build', 'test', 'test', 'unit', 'fuzz', 'main.js'));
  return fuzz.main(process.argv.slice(2));
});
