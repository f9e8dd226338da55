import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Longest file that is read, bytes. */
const MAX_SIZE = 65_536;

/** The path of a file next to the guard's socket, which has another extension. @param socketPath see `guardSocketPath`. */
export function stateFilePath(socketPath: string, extension: string): string {
  return socketPath.replace(/(\.sock)?$/, `.${extension}`);
}

/** Reads a file next to the guard's socket. Does not wait for the writer of a named pipe. @throws Error of the file system. */
export function readStateFile(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const status = fstatSync(file);
    if (!status.isFile() || status.size > MAX_SIZE) throw new Error(`it is not a file of at most ${MAX_SIZE} bytes`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Replaces the file at once, so that no reader finds half of it. @throws Error of the file system. */
export function replaceStateFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}
