import { rmSync } from 'node:fs';
import { lstat, open, rename, type FileHandle } from 'node:fs/promises';
import { Pi05Error } from '../errors.js';

const unfinished = new Set<AtomicFile>();

/** Removes all unfinished files, synchronously; for a process that is about to end. */
export function discardUnfinished(): void {
  for (const file of unfinished) file.discard();
}

/**
 * A file that appears under its name only when it is complete: until `finish`, and after a crash, it is `NAME.PID.new`. Links,
 * pipes and devices are written to directly.
 */
export class AtomicFile {
  readonly #path: string;
  readonly #writtenPath: string;
  readonly #handle: FileHandle;
  #position = 0n;

  private constructor(path: string, writtenPath: string, handle: FileHandle) {
    this.#path = path;
    this.#writtenPath = writtenPath;
    this.#handle = handle;
    unfinished.add(this);
  }

  /** @throws Pi05Error BAG_FILE where the file cannot be written. */
  static async create(path: string): Promise<AtomicFile> {
    try {
      if (path === '') throw new Error('it has no name');
      const existing = await lstat(path).catch(() => undefined);
      if (existing?.isDirectory() === true) throw new Error('it is a directory');
      const isReplaced = existing === undefined || existing.isFile();
      const written = isReplaced ? `${path}.${process.pid}.new` : path;
      return new AtomicFile(path, written, await open(written, 'w'));
    } catch (error) {
      throw unwritable(path, error);
    }
  }

  /** Bytes written so far. */
  position(): bigint {
    return this.#position;
  }

  /** Appends to the file. Calls must not overlap. @throws Pi05Error BAG_FILE, for example on a full disk. */
  async write(content: Uint8Array | string): Promise<void> {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    this.#position += BigInt(bytes.byteLength);
    await this.#handle.writeFile(bytes).catch((error: unknown) => {
      throw unwritable(this.#path, error);
    });
  }

  /** Closes the file and gives it its name. @throws Pi05Error BAG_FILE. */
  async finish(): Promise<void> {
    try {
      await this.#handle.close();
      if (this.#writtenPath !== this.#path) await rename(this.#writtenPath, this.#path);
      unfinished.delete(this);
    } catch (error) {
      throw unwritable(this.#path, error);
    }
  }

  /** Removes the unfinished file; does nothing after `finish`. */
  discard(): void {
    if (!unfinished.delete(this)) return;
    if (this.#writtenPath !== this.#path) rmSync(this.#writtenPath, { force: true });
    this.#handle.close().catch(() => {});
  }
}

function unwritable(path: string, error: unknown): Pi05Error {
  // Without the system call and the temporary name that Node appends.
  const reason = (error as Error).message.replace(/, \w+( '.*)?$/s, '');
  return new Pi05Error('BAG_FILE', `Expected to write ${path}: ${reason}`, path);
}
