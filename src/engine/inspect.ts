import { addon, nativeError } from './addon.js';
import type { CheckpointDescription } from './engine.js';

/** Reads headers, not weights, so it is fast at any size. @throws Pi05Error CHECKPOINT_MISSING where the directory does not exist. */
export async function describeCheckpoint(directory: string): Promise<CheckpointDescription> {
  const native = addon();
  try {
    return await native.inspect(directory);
  } catch (error) {
    throw nativeError(error, directory);
  }
}
