import { rmSync } from 'node:fs';
import { lstat, open, rename, type FileHandle } from 'node:fs/promises';
import { Pi05Error } from '../errors.js';

const unfinished = new Set<AtomicFile>();

/** For a process that ends before its files are finished: leaves none of them behind, at once. */
export function discardUnfinished(): void {
  for (const file of unfinished) file.discard();
}

/**
 * A file that is there as a whole or not at all: it has its name from `finish` on, and until then, and after a crash,
 * `NAME.PID.new`. A link, a pipe or a device is written to as it is.
 */
export class AtomicFile {
  readonly #path: string;
  readonly #written: string;
  readonly #handle: FileHandle;
  #position = 0n;

  private constructor(path: string, written: string, handle: FileHandle) {
    this.#path = path;
    this.#written = written;
    this.#handle = handle;
    unfinished.add(this);
  }

  /** @throws Pi05Error BAG_FILE where it cannot be written. */
  static async create(path: string): Promise<AtomicFile> {
    try {
      if (path === '') throw new Error('it has no name');
      const there = await lstat(path).catch(() => undefined);
      if (there?.isDirectory() === true) throw new Error('it is a folder');
      const isReplaced = there === undefined || there.isFile();
      const written = isReplaced ? `${path}.${process.pid}.new` : path;
      return new AtomicFile(path, written, await open(written, 'w'));
    } catch (error) {
      throw unwritable(path, error);
    }
  }

  /** Bytes so far. */
  position(): bigint {
    return this.#position;
  }

  /** Calls must not overlap. @throws Pi05Error BAG_FILE, for example without room. */
  async write(content: Uint8Array | string): Promise<void> {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    this.#position += BigInt(bytes.byteLength);
    await this.#handle.writeFile(bytes).catch((error: unknown) => {
      throw unwritable(this.#path, error);
    });
  }

  /** @throws Pi05Error BAG_FILE. */
  async finish(): Promise<void> {
    try {
      await this.#handle.close();
      if (this.#written !== this.#path) await rename(this.#written, this.#path);
      unfinished.delete(this);
    } catch (error) {
      throw unwritable(this.#path, error);
    }
  }

  /** Leaves nothing behind; without effect on a finished file. */
  discard(): void {
    if (!unfinished.delete(this)) return;
    if (this.#written !== this.#path) rmSync(this.#written, { force: true });
    this.#handle.close().catch(() => {});
  }
}

function unwritable(path: string, error: unknown): Pi05Error {
  // Node appends the call and the temporary name.
  const reason = (error as Error).message.replace(/, \w+( '.*)?$/s, '');
  return new Pi05Error('BAG_FILE', `Expected to write ${path}: ${reason}`, path);
}
