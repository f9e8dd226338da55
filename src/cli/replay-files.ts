import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { discardUnfinished } from '../replay/atomic-file.js';
import { usage } from './arguments.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Checks that no output file is an input file, a file in the bag's directory or another output, also through links.
 * Pipes and devices may be given twice.
 * @throws Pi05Error USAGE.
 */
export function checkFiles(
  read: readonly (string | undefined)[],
  written: Readonly<Record<string, string | undefined>>,
): void {
  const known = new Map<string, string>();
  for (const path of read.filter((path) => path !== undefined)) {
    for (const file of [path, ...contents(path)]) known.set(identity(file), 'an input file');
  }
  for (const [flag, path] of Object.entries(written)) {
    if (path === undefined) continue;
    if (path === '') throw usage('replay', `Expected a file name after ${flag}, received none`);
    const id = identity(path);
    const other = known.get(id);
    if (other !== undefined) throw usage('replay', `Expected ${flag} other than ${other}, received ${path}`);
    if (isFile(path)) known.set(id, flag);
  }
}

function contents(path: string): string[] {
  try {
    return readdirSync(path).map((name) => join(path, name));
  } catch {
    return [];
  }
}

/** Equal for all names of a file, also of one that does not exist yet. */
function identity(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    const directory = dirname(path);
    return `${existsSync(directory) ? realpathSync(directory) : resolve(directory)}/${basename(path)}`;
  }
}

function isFile(path: string): boolean {
  return existsSync(path) ? statSync(path).isFile() : true;
}

/** Removes unfinished files when a signal ends the process. @returns a function that removes the signal handlers. */
export function discardOnSignal(): () => void {
  const end = (signal: NodeJS.Signals): void => {
    discardUnfinished();
    removeHandlers();
    process.kill(process.pid, signal);
  };
  const removeHandlers = (): void => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return removeHandlers;
}
