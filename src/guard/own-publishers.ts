import { appendFileSync, statSync } from 'node:fs';
import { readStateFile, replaceStateFile, stateFilePath } from './state-file.js';

/** A file of more bytes is shortened to its newest lines. */
const LONG = 32_768;
const KEPT_LINES = 100;

/**
 * The publishers of one policy and its guard, which are one commander. Each of their processes adds what the GIDs of its own begin
 * with to a file next to the guard's socket, so those of a process that was killed are known too: the ROS graph lists them until
 * their DDS lease ends. A policy of the same name with another socket, of another user or in another container, has another file.
 */
export class OwnPublishers {
  readonly #path: string;
  #known: ReadonlySet<string> = new Set();

  /** @param socketPath of the guard, see `guardSocketPath`. */
  constructor(socketPath: string) {
    this.#path = stateFilePath(socketPath, 'publishers');
  }

  /** @throws Error of the file system. */
  add(prefix: string): void {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (size > LONG) replaceStateFile(this.#path, `${this.#read().slice(-KEPT_LINES).join('\n')}\n`);
    appendFileSync(this.#path, `${prefix}\n`, { mode: 0o600 });
  }

  /** False also where the file cannot be read. */
  has(prefix: string): boolean {
    if (!this.#known.has(prefix)) this.#known = new Set(this.#read());
    return this.#known.has(prefix);
  }

  #read(): string[] {
    try {
      return readStateFile(this.#path).split('\n').filter(Boolean);
    } catch {
      return [];
    }
  }
}
