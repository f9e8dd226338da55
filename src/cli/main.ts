import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.js';
import { PROBLEM_CODES, Pi05Error, USAGE_CODES, type ErrorCode } from '../errors.js';

/** A command's module: `run` gets the arguments after the command's name and resolves with the exit status. */
interface Command {
  readonly summary: string;
  readonly load: () => Promise<{ run(argv: string[]): Promise<number> }>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  infer: { summary: 'run one inference on a case file', load: () => import('./infer.js') },
  node: { summary: 'run the ROS 2 policy node', load: () => import('./node.js') },
  guard: { summary: "run a policy node's guard, which stops the robot", load: () => import('./guard.js') },
  replay: { summary: 'run the policy on a recorded bag', load: () => import('./replay.js') },
  demo: { summary: 'run the node with a simulated arm', load: () => import('./demo.js') },
  eval: { summary: 'count how often the policy succeeds with a simulated arm', load: () => import('./eval.js') },
  inspect: { summary: 'describe a checkpoint and list its problems', load: () => import('./inspect.js') },
  'make-checkpoint': { summary: 'write a random checkpoint', load: () => import('./make-checkpoint.js') },
  bench: { summary: 'measure how long an inference takes on this machine', load: () => import('./bench.js') },
};

const HELP = `Usage: pi05 <command> [arguments]

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(17)}${summary}`)
  .join('\n')}
  ${'setup'.padEnd(17)}install and build what this machine needs: ROS 2, Node packages, the native engine

pi05 <command> --help describes a command, pi05 --version prints the version.
Errors go to stderr as "CODE: sentence". Exit status: 0 done, 1 failed while running,
2 wrong usage, configuration, checkpoint or environment.
`;

/**
 * Codes of errors in the input, found before anything ran. CAMERA_DUPLICATE: two cameras have the same topic. GUARD_CONFIG:
 * the guard that runs has other parameters. NODE_DUPLICATE: a policy of this name runs.
 */
const INPUT_CODES: ReadonlySet<ErrorCode> = new Set(
  (
    [
      ...PROBLEM_CODES,
      ...USAGE_CODES,
      'CAMERA_DUPLICATE',
      'GUARD_CONFIG',
      'NODE_DUPLICATE',
      'BAG_FILE',
      'BAG_DATA',
      'BAG_TOPIC',
    ] as const
  ).filter((code) => code !== 'OUT_OF_MEMORY' && code !== 'INTERNAL'),
);

/** Runs one command line, writes errors to stderr and resolves with the exit status. */
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
      return INPUT_CODES.has((error as Pi05Error).code) ? 2 : 1;
    }
    process.stderr.write(`INTERNAL: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}

// The reader of a pipe may close it early, as head does; that is no error.
process.stderr.on('error', () => {});
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`ENVIRONMENT: Expected to write to stdout: ${error.message}\n`);
  process.exitCode = 2;
});

const status = await main(process.argv.slice(2));
process.exitCode ??= status;
