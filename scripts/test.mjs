/** Every suite that runs without a GPU: `npm test`, or some: `npm test -- unit native sim ros`. Ends with `N passed, N failed`. */
import { mkdirSync } from 'node:fs';

import { inRoot } from './lib/paths.mjs';
import { main, Problem } from './lib/problem.mjs';
import { native, ros, sim, unit } from './lib/suites.mjs';
import { setup } from './setup.mjs';

const SUITES = { unit, native, sim, ros };

await main(async () => {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !(name in SUITES));
  if (unknown !== undefined) {
    throw new Problem(`Expected a suite (${Object.keys(SUITES).join(', ')}), received ${unknown}.`, 2);
  }
  await setup({ rendering: true, unitTests: true });
  mkdirSync(inRoot('build', 'reports'), { recursive: true });

  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const [name, run] of Object.entries(SUITES)) {
    if (names.length > 0 && !names.includes(name)) continue;
    const result = await run();
    process.stdout.write(
      `${name}: ${result.passed} ok, ${result.failed} failed, ${result.skipped} skipped${result.problem ? ` (${result.problem})` : ''}\n\n`,
    );
    for (const key of Object.keys(sum)) sum[key] += result[key];
  }
  process.stdout.write(
    `${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}\n`,
  );
  return sum.failed === 0 ? 0 : 1;
});
