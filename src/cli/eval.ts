import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { configFromParameters } from '../config/parameters.js';
import { SCHEMA } from '../config/schema.js';
import { errorMessage, Pi05Error } from '../errors.js';
import { packageRoot } from '../package-root.js';
import { integer, oneOf, parse, usage, warn } from './arguments.js';
import { Child } from './child.js';
import { conditions, dataHash, checkpointHash, workUnits } from './evaluation-plan.js';
import { EvaluationProgress } from './evaluation-progress.js';
import { EvaluationRecords } from './evaluation-records.js';
import { runUnits } from './evaluation-run.js';
import { givenParameters } from './parameter-overrides.js';
import { Progress } from './progress.js';
import { interruption, simulationPython, untilInterrupted } from './simulation.js';

const HELP = `Usage: pi05 eval [options]

Runs the policy node with the simulated arm in closed loop over DDS, on this machine only, and counts
how often it does what the prompt says. Layouts are those that no training uses. In lock-step, the
default, the same options give the same outcome every time, on a slow machine too.

  --episodes N        episodes in all, dealt over the tasks in turn; 40 by default
  --seed S            of the layouts; 0 by default. Two seeds have no layout in common
  --task T[,T…]       touch, pick, bowl, stack; all by default
  --mode M[,M…]       schedule.mode of the node, or all; that of the parameter file by default
  --delay MS[,MS…]    simulated time from an observation's stamp to its chunk's arrival; 0 by default
  --real-time         the simulation does not wait for the node
  --controls          also run all controls: inputs that are wrong on purpose
  --control C[,C…]    only these: prompts-shuffled, cameras-swapped, wrist-frozen, exterior-twice,
                      gripper-open

  --checkpoint DIR    another checkpoint
  --params FILE       another parameter file; configs/demo.yaml by default
  -p NAME:=VALUE      a parameter that overrides the file's; may be repeated
  --jobs N            simulations at the same time, each in its own ROS domain; one per core in lock-step

  --json FILE         the results with everything that is needed to compute them again
  --plot FILE.png     success with intervals, and times
  --video FILE.gif    some episodes
  --out DIR           all three: evaluation.json, evaluation.png and evaluation.gif in DIR
  --records FILE      JSON lines: each episode is appended when it ends; those already there are not run again
  --table FILE.md     writes the table of success by mode and delay between the markers in FILE.md

Exit status: 0 the evaluation ran, whatever the success rate; 1 failed while running; 2 wrong usage,
parameters or checkpoint; 130 interrupted.
`;

const TASKS = ['touch', 'pick', 'bowl', 'stack'] as const;
const CONTROLS = ['prompts-shuffled', 'cameras-swapped', 'wrist-frozen', 'exterior-twice', 'gripper-open'] as const;
const LAST_SEED = 2 ** 31 - 1;
const MAX_EPISODES = 10_000;
const MAX_DELAY_MS = 10_000;
/** Parameters that are recorded elsewhere or do not change the outcome. */
const NOT_OF_THE_RUN = ['checkpoint', 'threads', 'schedule.injected_delay'];
const MODES = SCHEMA['schedule.mode'].choices;

/** Absolute paths of the files to write. */
interface Outputs {
  readonly json?: string;
  readonly plot?: string;
  readonly video?: string;
  readonly table?: string;
}

export async function run(argv: string[]): Promise<number> {
  const { values } = parse('eval', argv, {
    episodes: { type: 'string', default: '40' },
    seed: { type: 'string', default: '0' },
    task: { type: 'string' },
    mode: { type: 'string' },
    delay: { type: 'string', default: '0' },
    'real-time': { type: 'boolean', default: false },
    controls: { type: 'boolean', default: false },
    control: { type: 'string' },
    checkpoint: { type: 'string' },
    params: { type: 'string', default: join(packageRoot, 'configs', 'demo.yaml') },
    param: { type: 'string', short: 'p', multiple: true, default: [] },
    jobs: { type: 'string' },
    json: { type: 'string' },
    plot: { type: 'string' },
    video: { type: 'string' },
    out: { type: 'string' },
    records: { type: 'string' },
    table: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const count = integer('eval', 'episodes', values.episodes, 1, MAX_EPISODES);
  const seed = integer('eval', 'seed', values.seed, 0, LAST_SEED);
  const tasks = values.task === undefined ? TASKS : list('task', values.task, TASKS);
  const delays = values.delay.split(',').map((text) => integer('eval', 'delay', text, 0, MAX_DELAY_MS));
  const controls = values.controls
    ? CONTROLS
    : values.control === undefined
      ? []
      : list('control', values.control, CONTROLS);
  const realTime = values['real-time'];
  const parallel = realTime ? 1 : availableParallelism();
  const jobs = values.jobs === undefined ? parallel : integer('eval', 'jobs', values.jobs, 1, 64);

  const python = simulationPython();
  const params = resolve(values.params);
  const given = givenParameters('eval', params, values.param);
  given.values.set('schedule.injected_delay', Math.max(...delays) / 1000);
  if (values.checkpoint !== undefined) given.values.set('checkpoint', resolve(values.checkpoint));
  const { checkpoint, schedule } = configFromParameters(given.values, given.where, warn);
  const modes =
    values.mode === undefined ? [schedule.mode] : values.mode === 'all' ? MODES : list('mode', values.mode, MODES);

  const outputs = outputFiles(values);
  const frames = outputs.video === undefined ? undefined : mkdtempSync(join(tmpdir(), 'pi05-eval-'));
  const checkpoint_sha256 = checkpointHash(checkpoint);
  const parameters = Object.fromEntries([...given.values].filter(([name]) => !NOT_OF_THE_RUN.includes(name)));
  const runId = dataHash({ checkpoint_sha256, parameters, seed, tasks, realTime });
  const records = new EvaluationRecords(runId, values.records);
  const planned = conditions(modes, delays, controls, count, tasks.length);
  const units = workUnits(planned, (condition, episode) => records.has(condition, episode), jobs, tasks.length);
  // The results do not depend on the number of threads. One for each of several simulations is fastest.
  const threads = jobs > 1 && !given.values.get('threads') ? ['threads:=1'] : [];
  const overrides = [...values.param, ...threads];
  const remaining = units.reduce((sum, { episodes }) => sum + episodes.length, 0);
  const progress = new EvaluationProgress(new Progress(process.stdout), remaining);
  const interrupted = interruption();
  try {
    return await untilInterrupted(async () => {
      if (remaining > 0) progress.start();
      const setup = { seed, tasks, realTime, params, checkpoint, overrides, python, frames };
      await runUnits(setup, units, jobs, interrupted, (condition, result) => {
        progress.add(records.add(condition, result));
      });
      progress.end();
      const episodes = planned.flatMap(({ condition, count }) =>
        Array.from({ length: count }, (_, episode) => records.get(condition, episode)),
      );
      const options = { episodes: count, seed, tasks, modes, delays_ms: delays, controls, real_time: realTime };
      const policy = { checkpoint, checkpoint_sha256, params, parameters };
      return await report({ options, policy, episodes }, outputs, frames, python, interrupted);
    });
  } finally {
    progress.end();
    if (frames !== undefined) rmSync(frames, { recursive: true, force: true });
  }
}

/** Writes the output files and prints the table. @returns the exit status. */
async function report(
  results: object,
  { json, plot, video, table }: Outputs,
  frames: string | undefined,
  python: string,
  interrupted: Promise<never>,
): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'pi05-eval-'));
  try {
    const file = join(directory, 'results.json');
    const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
    writeFileSync(file, JSON.stringify(results, bigints));
    const options = Object.entries({ json, plot, video, frames, table }).flatMap(([name, path]) =>
      path === undefined ? [] : [`--${name}`, path],
    );
    const reporter = new Child(
      'the report',
      python,
      ['-m', 'sim.evaluation.report', file, ...options],
      { cwd: packageRoot, env: process.env },
      (line) => process.stdout.write(`${line}\n`),
    );
    interrupted.catch(() => reporter.end());
    const { status } = await Promise.race([reporter.ended, interrupted]);
    if (status !== 0) throw new Pi05Error('INTERNAL', `Expected the report to be written: ${reporter.lastLines}`);
    return 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @throws Pi05Error USAGE where a file cannot be written. */
function outputFiles(values: { readonly [flag in 'json' | 'plot' | 'video' | 'out' | 'table']?: string }): Outputs {
  const { out } = values;
  const inOut = (name: string): string | undefined => (out === undefined ? undefined : join(out, name));
  const outputs = {
    json: values.json ?? inOut('evaluation.json'),
    plot: values.plot ?? inOut('evaluation.png'),
    video: values.video ?? inOut('evaluation.gif'),
    table: values.table,
  };
  writable('out', out, () => {
    if (out !== undefined && !existsSync(out)) mkdirSync(out);
  });
  const given = Object.entries(outputs).filter((entry): entry is [string, string] => entry[1] !== undefined);
  for (const [flag, path] of given) writable(flag, path, () => accessSync(dirname(resolve(path)), constants.W_OK));
  return Object.fromEntries(given.map(([flag, path]) => [flag, resolve(path)]));
}

/** @throws Pi05Error USAGE where `check` throws. */
function writable(flag: string, path: string | undefined, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw usage('eval', `Expected --${flag} where it can be written, received ${path}: ${errorMessage(error)}`);
  }
}

/** The names in a comma-separated list. @throws Pi05Error USAGE for a name that is not allowed. */
function list<const T extends string>(flag: string, text: string, allowed: readonly T[]): T[] {
  return [...new Set(text.split(','))].map((name) => oneOf('eval', flag, name.trim(), allowed));
}
