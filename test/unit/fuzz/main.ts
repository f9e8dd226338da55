/**
 * The fuzzers with many more cases than in CI: `npm run fuzz -- [TARGET…] [--count N] [--seed S]`. Prints one line per target and the
 * first wrong cases; exit status 1 where there are any.
 */
import { parseArgs } from 'node:util';
import { STRUCTS, type TypeName } from './cdr-reference.js';
import type { Findings } from './findings.js';
import { fuzzBags } from './fuzz-bags.js';
import { fuzzCdr } from './fuzz-cdr.js';
import { fuzzRobotDescription } from './fuzz-robot-description.js';
import { fuzzSafetensors } from './fuzz-safetensors.js';

type Fuzz = (count: number, seed: number) => Findings | Promise<Findings>;

const TARGETS: Readonly<Record<string, Fuzz>> = {
  ...Object.fromEntries(
    (Object.keys(STRUCTS) as TypeName[]).map((type): [string, Fuzz] => [
      type,
      (count, seed) => fuzzCdr(type, count, seed),
    ]),
  ),
  robot_description: fuzzRobotDescription,
  safetensors: fuzzSafetensors,
  bags: fuzzBags,
};

export async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { count: { type: 'string', default: '1000000' }, seed: { type: 'string', default: String(Date.now()) } },
  });
  const unknown = positionals.find((name) => !(name in TARGETS));
  const count = Number(values.count);
  const seed = Number(values.seed);
  if (unknown !== undefined || !Number.isSafeInteger(count) || !Number.isSafeInteger(seed)) {
    process.stderr.write(
      `Usage: npm run fuzz -- [TARGET…] [--count N] [--seed S]\nTargets: ${Object.keys(TARGETS).join(' ')}\n`,
    );
    return 2;
  }
  let wrongTargets = 0;
  for (const name of positionals.length > 0 ? positionals : Object.keys(TARGETS)) {
    const start = performance.now();
    const { accepted, refused, wrong } = await TARGETS[name]!(count, seed);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    const codes = [...refused].map(([code, number]) => `${code} ${number}`).join(', ');
    process.stdout.write(
      `${name}: ${count} (seed ${seed}, ${seconds} s): ${accepted} accepted, refused ${codes || 'none'}, ${wrong.length} wrong\n`,
    );
    for (const sentence of wrong.slice(0, 5)) process.stdout.write(`  ${sentence}\n`);
    if (wrong.length > 0) wrongTargets++;
  }
  return wrongTargets === 0 ? 0 : 1;
}
