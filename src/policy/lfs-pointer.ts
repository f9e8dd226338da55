import { closeSync, openSync, readSync } from 'node:fs';
import { Pi05Error } from '../errors.js';

/** How a Git LFS pointer begins, the second one in repositories from before 2015. */
const STARTS = ['version https://git-lfs.github.com/spec/', 'version https://hawser.github.com/'];

/** The error of a file that is a Git LFS pointer to its contents; undefined where it is not, or cannot be read. */
export function lfsPointerError(path: string): Pi05Error | undefined {
  const bytes = Buffer.alloc(64);
  let length: number;
  try {
    const file = openSync(path, 'r');
    try {
      length = readSync(file, bytes, 0, bytes.length, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
  const text = bytes.toString('latin1', 0, length);
  if (!STARTS.some((start) => text.startsWith(start))) return undefined;
  return new Pi05Error(
    'CHECKPOINT_MISSING',
    `Expected the contents of ${path}, received a Git LFS pointer: fetch the file itself with \`git lfs pull\``,
    path,
  );
}
