/**
 * Runs the test suites: `npm test` all of them, `npm test -- unit native sim ros` those that are named. No suite needs a GPU.
 * The last line is `N passed, N failed`, with `, N skipped` where tests were skipped.
 */
import { mkdirSync } from 'node:fs';

import { inRoot } from './lib/paths.mjs';
import { native, ros, sim, unit } from './lib/suites.mjs';
import { closingLines, suiteLine } from './lib/summary.mjs';
import { main, UserError } from './lib/user-error.mjs';
import { setup } from './setup.mjs';

const SUITES = { unit, native, sim, ros };

await main(async () => {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !(name in SUITES));
  if (unknown !== undefined) {
    throw new UserError(`Expected a suite (${Object.keys(SUITES).join(', ')}), received ${unknown}.`, 2);
  }
  await setup({ rendering: true, unitTests: true });
  mkdirSync(inRoot('build', 'reports'), { recursive: true });

  const results = {};
  for (const [name, run] of Object.entries(SUITES)) {
    if (names.length > 0 && !names.includes(name)) continue;
    const started = performance.now();
    results[name] = await run();
    const seconds = (performance.now() - started) / 1000;
    process.stdout.write(`${suiteLine(name, results[name], seconds)}\n\n`);
  }
  process.stdout.write(`${closingLines(results).join('\n')}\n`);
  return Object.values(results).every(({ failed }) => failed === 0) ? 0 : 1;
});
