import { addon, nativeError } from './addon.js';
import type { ModelInfo } from './engine.js';

interface Tower {
  readonly width: number;
  readonly layers: number;
}

interface Stored {
  readonly tensors: number;
  readonly bytes: number;
}

/** What the headers of a checkpoint's weights and its JSON files say. */
export interface CheckpointDescription {
  /** As far as it could be known; `backend` says nothing, since there is no engine. */
  readonly info: ModelInfo;
  /** Pixels. */
  readonly imageSize: number;
  readonly patch: number;
  readonly vision: Tower;
  readonly prefix: Tower;
  readonly expert: Tower;
  /** What the files hold, by type. */
  readonly dtypes: Readonly<Record<'F32' | 'BF16' | 'F16' | 'other', Stored>>;
  readonly usedParameters: number;
  /** What every inference reads of the weights as they are stored. */
  readonly readBytes: number;
  /** Everything that is wrong, where a message may have details a line each. */
  readonly faults: readonly { readonly code: string; readonly message: string }[];
}

/** Reads no weight, so it is quick at any size. Rejects with CHECKPOINT_MISSING where there is no such directory. */
export async function describeCheckpoint(directory: string): Promise<CheckpointDescription> {
  const native = addon();
  try {
    return await native.inspect(directory);
  } catch (error) {
    throw nativeError(error, directory);
  }
}
