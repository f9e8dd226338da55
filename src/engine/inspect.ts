import { addon, nativeError } from './addon.js';
import type { CheckpointDescription } from './engine.js';

/** Reads no weight, so it is quick at any size. Rejects with CHECKPOINT_MISSING where there is no such directory. */
export async function describeCheckpoint(directory: string): Promise<CheckpointDescription> {
  const native = addon();
  try {
    return await native.inspect(directory);
  } catch (error) {
    throw nativeError(error, directory);
  }
}
