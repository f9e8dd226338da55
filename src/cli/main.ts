import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.js';
import { PROBLEM_CODES, Pi05Error, USAGE_CODES, type ErrorCode } from '../errors.js';

/** A command's module: `run` gets what follows the command and resolves with the exit status. */
interface Command {
  readonly summary: string;
  readonly load: () => Promise<{ run(argv: string[]): Promise<number> }>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  infer: { summary: 'one inference from a case file', load: () => import('./infer.js') },
  node: { summary: 'the ROS 2 node', load: () => import('./node.js') },
  replay: { summary: 'the policy on a recorded bag', load: () => import('./replay.js') },
  demo: { summary: 'the node with a simulated arm', load: () => import('./demo.js') },
  inspect: { summary: 'what a checkpoint is and what is wrong with it', load: () => import('./inspect.js') },
  'make-checkpoint': { summary: 'write a random checkpoint', load: () => import('./make-checkpoint.js') },
  bench: { summary: 'how long an inference takes here', load: () => import('./bench.js') },
};

const HELP = `Usage: pi05 <command> [arguments]

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(17)}${summary}`)
  .join('\n')}
  ${'setup'.padEnd(17)}make this package ready: ROS 2, Node packages, the native engine

pi05 <command> --help says more. pi05 --version prints the version.
Errors go to stderr as "CODE: sentence". Exit status: 0 done, 1 failed while running,
2 wrong usage, configuration, checkpoint or environment.
`;

/** Codes of what was wrong before anything ran; two cameras may be bound to one topic before they show the same. */
const GIVEN_WRONG: ReadonlySet<ErrorCode> = new Set(
  ([...PROBLEM_CODES, ...USAGE_CODES, 'CAMERA_DUPLICATE', 'BAG_FILE', 'BAG_DATA', 'BAG_TOPIC'] as const).filter(
    (code) => code !== 'OUT_OF_MEMORY' && code !== 'INTERNAL',
  ),
);

/** Runs one command line and resolves with its exit status; errors are on stderr by then. */
async function main(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (name === '--version') {
    const manifest = readFileSync(join(packageRoot, 'package.json'), 'utf8');
    process.stdout.write(`${(JSON.parse(manifest) as { version: string }).version}\n`);
    return 0;
  }
  try {
    const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined) {
      const known = [...Object.keys(COMMANDS), 'setup'].join(', ');
      throw new Pi05Error(
        'USAGE',
        `Expected one of the commands ${known}, received ${name ?? 'none'} (see pi05 --help)`,
      );
    }
    const module = await command.load();
    return await module.run(rest);
  } catch (error) {
    if (error instanceof Pi05Error) {
      process.stderr.write(`${error.toString()}\n`);
      return GIVEN_WRONG.has((error as Pi05Error).code) ? 2 : 1;
    }
    process.stderr.write(`INTERNAL: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}

// Whoever reads may stop before the end, as head does; the exit status says the rest.
process.stderr.on('error', () => {});
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`ENVIRONMENT: Expected to write to stdout: ${error.message}\n`);
  process.exitCode = 2;
});

const status = await main(process.argv.slice(2));
process.exitCode ??= status;
