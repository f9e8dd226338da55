import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { discardUnfinished } from '../replay/atomic-file.js';
import { usage } from './arguments.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Whether every file that is written is another than those that are read, the files of a bag's folder among them, and
 * than each other, also through links. Pipes and devices may be the same.
 * @throws Pi05Error USAGE.
 */
export function checkFiles(
  read: readonly (string | undefined)[],
  written: Readonly<Record<string, string | undefined>>,
): void {
  const known = new Map<string, string>();
  for (const path of read.filter((path) => path !== undefined)) {
    for (const file of [path, ...contents(path)]) known.set(identity(file), 'what is read');
  }
  for (const [flag, path] of Object.entries(written)) {
    if (path === undefined) continue;
    if (path === '') throw usage('replay', `Expected a name after ${flag}, received none`);
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

/** The same for all names of a file, whether it is there or not. */
function identity(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    const folder = dirname(path);
    return `${existsSync(folder) ? realpathSync(folder) : resolve(folder)}/${basename(path)}`;
  }
}

function isFile(path: string): boolean {
  return existsSync(path) ? statSync(path).isFile() : true;
}

/** A signal that ends the process leaves no unfinished file behind. @returns what takes that back. */
export function discardOnSignal(): () => void {
  const end = (signal: NodeJS.Signals): void => {
    discardUnfinished();
    forget();
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return forget;
}
