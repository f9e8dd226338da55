import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { packageRoot } from '../package-root.js';
import { parse, usage, integer } from './arguments.js';
import { Progress } from './progress.js';
import { freeDomain, interruption, simulationPython, SimulationProcesses, untilInterrupted } from './simulation.js';

const HELP = `Usage: pi05 demo [--duration S] [--out IMAGE.png] [--domain N]

Runs the policy node with a simulated arm over DDS, on this machine only, and draws a chart of the
run. The checkpoint has random weights: the arm moves, but it does not carry out the task.

  --duration S     seconds of simulation to record; 20 by default
  --out IMAGE.png  the chart; demo.png by default; its values are written to IMAGE.json
  --domain N       ROS domain id; by default one that is free on this machine
`;

/** The seed, of 275 tried, whose random weights make the actions drift least: the arm still moves after 20 s. */
const SEED = '190';

/** What the recorder prints once a second. */
interface ProgressLine {
  readonly t: number;
  readonly observations: number | null;
  readonly chunks: number;
}

/** What the recorder prints at the end. */
interface Summary {
  readonly observations: number | null;
  readonly refused: Readonly<Record<string, number>> | null;
  readonly chunks: number;
  readonly inference_ms_p50: number | null;
  readonly inference_ms_p99: number | null;
  readonly tick_lateness_ms_p99: number | null;
  readonly picture: string;
}

/** The UDP ports of higher domains would exceed 65535. */
const LAST_DOMAIN = 232;

export async function run(argv: string[]): Promise<number> {
  const { values } = parse('demo', argv, {
    duration: { type: 'string', default: '20' },
    out: { type: 'string', default: 'demo.png' },
    domain: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const duration = Number(values.duration);
  if (!(duration > 0 && duration < Infinity)) {
    throw usage('demo', `Expected --duration of more than 0 seconds, received ${values.duration}`);
  }
  const requestedDomain =
    values.domain === undefined ? undefined : integer('demo', 'domain', values.domain, 0, LAST_DOMAIN);
  const image = imagePath(values.out);
  const python = simulationPython();
  const reservation =
    requestedDomain === undefined ? await freeDomain() : { domain: requestedDomain, release: () => undefined };
  const interrupted = interruption();
  try {
    return await untilInterrupted(() =>
      demonstrate({ duration, image, domain: reservation.domain, python, interrupted }),
    );
  } finally {
    reservation.release();
  }
}

/** The absolute path of the chart. @throws Pi05Error USAGE where it cannot be written. */
function imagePath(out: string): string {
  const path = resolve(out);
  if (!/\.png$/i.test(path)) throw usage('demo', `Expected --out with a file name that ends in .png, received ${out}`);
  try {
    accessSync(dirname(path), constants.W_OK);
    if (existsSync(path)) accessSync(path, constants.W_OK);
  } catch (error) {
    throw usage('demo', `Expected --out where a file can be written, received ${out}: ${(error as Error).message}`);
  }
  if (existsSync(path) && !statSync(path).isFile()) throw usage('demo', `Expected --out to be a file, received ${out}`);
  return path;
}

interface Demonstration {
  readonly duration: number;
  readonly image: string;
  readonly domain: number;
  readonly python: string;
  readonly interrupted: Promise<never>;
}

async function demonstrate({ duration, image, domain, python, interrupted }: Demonstration): Promise<number> {
  const checkpoint = join(packageRoot, '.pi05', 'demo-checkpoint');
  const json = image.replace(/(\.png)?$/i, '.json');
  const processes = new SimulationProcesses(domain, 'the demo');
  const progress = new Progress(process.stdout);
  try {
    if (!existsSync(checkpoint)) {
      progress.show('Writing a checkpoint with random weights …');
      const options = ['--size', 'demo', '--seed', SEED];
      const maker = processes.startCommand('make-checkpoint', ['make-checkpoint', checkpoint, ...options]);
      const { status } = await Promise.race([maker.ended, interrupted]);
      // Another demo may have written it in the meantime.
      if (status !== 0 && !existsSync(checkpoint)) throw processes.endedEarly(maker, status);
    }
    process.stdout.write(`ROS_DOMAIN_ID=${domain}, on this machine only.\n`);
    progress.show('Starting the simulated arm, the recorder and the policy node …');
    const robot = processes.start('the simulated arm', python, ['-m', 'sim.robot']);
    let last = '';
    const recorder = processes.start(
      'the recorder',
      python,
      ['-m', 'sim.record', '--duration', String(duration), '--out', image, '--json', json],
      (line) => {
        if (!line.startsWith('{')) return;
        last = line;
        const seen = JSON.parse(line) as Partial<ProgressLine>;
        if (typeof seen.t === 'number') progress.show(describe(seen as ProgressLine, duration));
      },
    );
    const parameters = ['--params-file', join(packageRoot, 'configs', 'demo.yaml'), '-p', `checkpoint:=${checkpoint}`];
    const node = processes.startCommand('the policy node', [
      'node',
      '--ros-args',
      ...parameters,
      '-p',
      'use_sim_time:=true',
    ]);
    const failures = [robot, node].map((child) => processes.failure(child));
    for (const promise of failures) promise.catch(() => undefined);
    const { status } = await Promise.race([recorder.ended, interrupted, ...failures]);
    if (status !== 0) throw processes.endedEarly(recorder, status);
    await node.end();
    progress.end();
    process.stdout.write(report(JSON.parse(last) as Summary));
    return 0;
  } finally {
    progress.end();
    await processes.end();
  }
}

function describe({ t, observations, chunks }: ProgressLine, duration: number): string {
  if (t < 0) return `Waiting for the first chunk, ${(-t).toFixed(0)} s …`;
  return `${t.toFixed(0)} of ${duration} s: ${observations ?? 0} observations, ${chunks} chunks`;
}

/** The summary that is printed at the end. */
export function report(summary: Summary): string {
  const refused = Object.entries(summary.refused ?? {});
  const lines = [
    ['observations built', number(summary.observations)],
    ['refused', refused.length === 0 ? '0' : refused.map(([code, count]) => `${count} ${code}`).join(', ')],
    ['chunks', number(summary.chunks)],
    ['inference', `p50 ${number(summary.inference_ms_p50, 1)} ms, p99 ${number(summary.inference_ms_p99, 1)} ms`],
    ['control-tick lateness', `p99 ${number(summary.tick_lateness_ms_p99, 1)} ms`],
    ['chart', summary.picture],
  ] as const;
  return lines.map(([name, value]) => `${name.padEnd(23)}${value}\n`).join('');
}

function number(value: number | null, digits = 0): string {
  return value === null ? 'unknown' : value.toFixed(digits);
}
