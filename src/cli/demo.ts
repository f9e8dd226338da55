import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';

import { packageRoot } from '../package-root.js';
import { integer, parse, usage } from './arguments.js';
import {
  describeEpisode,
  describeProgress,
  report,
  type Episode,
  type ProgressLine,
  type Summary,
} from './demo-output.js';
import { Progress } from './progress.js';
import { freeDomain, interruption, simulationPython, SimulationProcesses, untilInterrupted } from './simulation.js';

/** One prompt of each task. */
const DEFAULT_PROMPTS = [
  'touch the blue block',
  'pick up the green block',
  'put the green block into the bowl',
  'put the red block on the blue block',
];

/** The simulator has as many sets of layouts on which no policy was trained. */
const SEEDS = 100;

/** The UDP ports of higher domains would exceed 65535. */
const LAST_DOMAIN = 232;

const HELP = `Usage: pi05 demo [--prompt TEXT]... [--rearrange] [--duration S] [--seed N]
                 [--checkpoint DIR] [--out IMAGE.png] [--gif FILM.gif] [--domain N]

Runs the policy node with a simulated arm over DDS, on this machine only, and gives it one prompt
after the other while it runs. Each prompt starts from what the last one left. The simulator judges
whether the arm does what the prompt says. At the end a chart of the run is drawn.

  --prompt TEXT     a task in words; may be repeated. A prompt that the simulator does not know is
                    given to the policy too, but not judged. By default:
${DEFAULT_PROMPTS.map((prompt) => `                      ${prompt}`).join('\n')}
  --rearrange       arrange the objects anew for each prompt
  --duration S      seconds for each prompt; by default the time limit of its task (6.4 to touch,
                    9.6 to pick up, 16 to put down), 10 for a prompt that is not judged
  --seed N          of the arrangements of the objects, 0 to ${SEEDS - 1}; 0 by default
  --checkpoint DIR  by default the checkpoint of configs/demo.yaml
  --out IMAGE.png   the chart; demo.png by default; its values are written to IMAGE.json
  --gif FILM.gif    also write a film of both cameras
  --domain N        ROS domain id; by default one that is free on this machine
`;

export async function run(argv: string[]): Promise<number> {
  const { values } = parse('demo', argv, {
    prompt: { type: 'string', multiple: true, default: DEFAULT_PROMPTS },
    rearrange: { type: 'boolean' },
    duration: { type: 'string' },
    seed: { type: 'string', default: '0' },
    checkpoint: { type: 'string' },
    out: { type: 'string', default: 'demo.png' },
    gif: { type: 'string' },
    domain: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  for (const prompt of values.prompt) {
    if (prompt.trim() === '') throw usage('demo', `Expected --prompt with a text, received ${JSON.stringify(prompt)}`);
  }
  const { duration } = values;
  if (duration !== undefined && !(Number(duration) > 0 && Number(duration) < Infinity)) {
    throw usage('demo', `Expected --duration of more than 0 seconds, received ${duration}`);
  }
  const requestedDomain =
    values.domain === undefined ? undefined : integer('demo', 'domain', values.domain, 0, LAST_DOMAIN);
  const seed = integer('demo', 'seed', values.seed, 0, SEEDS - 1);
  const image = outputPath('out', values.out, '.png');
  const gif = values.gif === undefined ? undefined : outputPath('gif', values.gif, '.gif');
  const checkpoint = values.checkpoint === undefined ? undefined : resolve(values.checkpoint);
  const python = simulationPython();
  const reservation =
    requestedDomain === undefined ? await freeDomain() : { domain: requestedDomain, release: () => undefined };
  const interrupted = interruption();
  try {
    return await untilInterrupted(() =>
      demonstrate({
        armArguments: [
          ...values.prompt.map((prompt) => `--prompt=${prompt}`),
          `--seed=${seed}`,
          ...(values.rearrange === true ? ['--rearrange'] : []),
          ...(duration === undefined ? [] : [`--duration=${Number(duration)}`]),
        ],
        checkpoint,
        image,
        gif,
        domain: reservation.domain,
        python,
        interrupted,
      }),
    );
  } finally {
    reservation.release();
  }
}

/** The absolute path of a file to write. @throws Pi05Error USAGE where it cannot be written. */
function outputPath(flag: string, file: string, extension: string): string {
  const path = resolve(file);
  if (extname(path).toLowerCase() !== extension) {
    throw usage('demo', `Expected --${flag} with a file name that ends in ${extension}, received ${file}`);
  }
  try {
    accessSync(dirname(path), constants.W_OK);
    if (existsSync(path)) accessSync(path, constants.W_OK);
  } catch (error) {
    throw usage(
      'demo',
      `Expected --${flag} where a file can be written, received ${file}: ${(error as Error).message}`,
    );
  }
  if (existsSync(path) && !statSync(path).isFile()) {
    throw usage('demo', `Expected --${flag} to be a file, received ${file}`);
  }
  return path;
}

interface Demonstration {
  /** Of the simulated arm: prompts, seed, duration. */
  readonly armArguments: readonly string[];
  readonly checkpoint: string | undefined;
  readonly image: string;
  readonly gif: string | undefined;
  readonly domain: number;
  readonly python: string;
  readonly interrupted: Promise<never>;
}

async function demonstrate(options: Demonstration): Promise<number> {
  const { checkpoint, image, gif, domain, python, interrupted } = options;
  const json = `${image.slice(0, -extname(image).length)}.json`;
  const processes = new SimulationProcesses(domain, 'the demo');
  const progress = new Progress(process.stdout);
  try {
    process.stdout.write(`ROS_DOMAIN_ID=${domain}, on this machine only.\n`);
    progress.show('Starting the simulated arm, the recorder and the policy node …');
    const robot = processes.start('the simulated arm', python, ['-m', 'sim.demo', ...options.armArguments]);
    const output = new RecorderOutput(progress);
    const recorder = processes.start(
      'the recorder',
      python,
      ['-m', 'sim.record', '--episodes', '--out', image, '--json', json, ...(gif === undefined ? [] : ['--gif', gif])],
      (line) => output.read(line),
    );
    const node = await processes.startNode([
      '--ros-args',
      '--params-file',
      join(packageRoot, 'configs', 'demo.yaml'),
      ...(checkpoint === undefined ? [] : ['-p', `checkpoint:=${checkpoint}`]),
      '-p',
      'use_sim_time:=true',
    ]);
    const failures = [robot, node].map((child) => processes.failure(child));
    for (const promise of failures) promise.catch(() => undefined);
    const { status } = await Promise.race([recorder.ended, interrupted, ...failures]);
    if (status !== 0) throw processes.endedEarly(recorder, status);
    await node.end();
    progress.end();
    process.stdout.write(report(output.summary, gif));
    return 0;
  } finally {
    progress.end();
    await processes.end();
  }
}

/** Shows what the recorder prints. */
class RecorderOutput {
  #episode: Episode | undefined;
  #last = '';

  constructor(private readonly progress: Progress) {}

  /** The last line. */
  get summary(): Summary {
    return JSON.parse(this.#last) as Summary;
  }

  read(line: string): void {
    if (!line.startsWith('{')) return;
    this.#last = line;
    const { t, episode } = JSON.parse(line) as Partial<ProgressLine> & { episode?: Episode };
    if (episode !== undefined) {
      this.#episode = episode;
      if (episode.seconds !== null) this.progress.print(describeEpisode(episode));
      if (episode.seconds !== null && episode.index + 1 === episode.count) this.progress.show('Drawing …');
    }
    const isBetweenEpisodes = this.#episode !== undefined && this.#episode.seconds !== null;
    if (t === undefined || isBetweenEpisodes) return;
    this.progress.show(describeProgress(JSON.parse(line) as ProgressLine, this.#episode));
  }
}
