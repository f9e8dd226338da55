import { existsSync } from 'node:fs';
import { join, normalize, resolve } from 'node:path';

import { packageRoot } from '../package-root.js';

/** The directory of this package, and of a user, that contains one directory for each checkpoint. */
const CHECKPOINTS = 'checkpoints/';

/**
 * The absolute path of the directory that the parameter `checkpoint` names. A relative path starts in the working directory;
 * if it does not exist there and starts with `checkpoints/`, in this package, which ships some. If it exists nowhere, the
 * result is the path from the working directory, which the error then names.
 */
export function checkpointDirectory(path: string, workingDirectory = process.cwd(), root = packageRoot): string {
  const local = resolve(workingDirectory, path);
  const shipped = join(root, path);
  const isShipped = normalize(path).startsWith(CHECKPOINTS) && !existsSync(local) && existsSync(shipped);
  return isShipped ? shipped : local;
}
