import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBag } from '../../../../src/replay/bag/bag.js';
import { packageRoot } from '../../root.js';

const PYTHON = join(packageRoot, '.pi05', 'venv', 'bin', 'python');

/** Runs a script of this directory with the Python environment that has rosbags. @returns its standard output. */
export function python(script: string, ...args: string[]): string {
  const path = join(packageRoot, 'test', 'unit', 'replay', 'bag', script);
  return execFileSync(PYTHON, [path, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
}

/** Topic, type, log time and the SHA-1 of the bytes. */
export type Seen = [topic: string, type: string, time: string, digest: string];

/** Bags of every kind, written by the rosbags package, and the messages that it reads from each of them. */
export interface Bags {
  readonly directory: string;
  /** In the order of their times. */
  readonly expected: readonly Seen[];
  /** The times in the order of writing, which differs a little. */
  readonly written: readonly string[];
  path(...parts: string[]): string;
  remove(): void;
}

export function writeBags(): Bags {
  const directory = mkdtempSync(join(tmpdir(), 'pi05-bags-'));
  python('write_bags.py', directory);
  const text = readFileSync(join(directory, 'expected.json'), 'utf8');
  const { messages, written } = JSON.parse(text) as { messages: Seen[]; written: string[] };
  return {
    directory,
    expected: messages,
    written,
    path: (...parts) => join(directory, ...parts),
    remove: () => rmSync(directory, { recursive: true }),
  };
}

export interface Read {
  readonly messages: Seen[];
  readonly damage: string | undefined;
  readonly notes: readonly string[];
  /** The error that ended reading. */
  readonly error?: Error;
}

/** Reads a whole bag; an error while reading is returned, one while opening is thrown. */
export async function readBag(path: string, wanted?: readonly string[]): Promise<Read> {
  const bag = await openBag(path);
  const messages: Seen[] = [];
  let error: Error | undefined;
  try {
    for await (const { topic, type, logTime, data } of bag.messages(new Set(wanted ?? bag.topics.keys()))) {
      messages.push([topic, type, String(logTime), createHash('sha1').update(data).digest('hex')]);
    }
  } catch (caught) {
    error = caught as Error;
  }
  const { damage, notes } = bag;
  await bag.close();
  return { messages, damage, notes, ...(error === undefined ? {} : { error }) };
}
