import { rmSync } from 'node:fs';
import { errorMessage } from '../errors.js';
import { excerpt } from '../format.js';
import type { Cause } from './protocol.js';
import { readStateFile, replaceStateFile, stateFilePath } from './state-file.js';

/**
 * The latch of one policy, kept in a file next to the guard's socket, so that it outlives both processes. It does not outlive
 * the directory, which is removed when the computer starts, and with XDG_RUNTIME_DIR when the user logs out.
 */
export class LatchFile {
  readonly path: string;

  /** @param socketPath of the guard, see `guardSocketPath`. */
  constructor(socketPath: string) {
    this.path = stateFilePath(socketPath, 'latch');
  }

  /** @returns undefined where there is no file. A file that cannot be read or has other contents is a latch: LATCH_FILE. */
  read(): Cause | undefined {
    try {
      return parse(readStateFile(this.path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      const message = `Expected a latch in ${this.path}, but ${errorMessage(error)}`;
      return { code: 'LATCH_FILE', message };
    }
  }

  /** @throws Error of the file system. */
  write({ code, message }: Cause): void {
    replaceStateFile(this.path, JSON.stringify({ code, message }));
  }

  /** @throws Error of the file system. */
  remove(): void {
    rmSync(this.path, { force: true });
  }
}

function parse(text: string): Cause {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const { code, message } = (json ?? {}) as Partial<Record<string, unknown>>;
  if (typeof code === 'string' && typeof message === 'string') return { code, message };
  throw new Error(`it contains ${excerpt(JSON.stringify(text))}`);
}
