/**
 * Every way this project says no, with a code that stays the same from release to release.
 * One sentence: what was expected, what was received, and from where.
 */

/** What an input can be refused for while the node runs. A refusal never stops the node. */
export const REFUSAL_CODES = [
  'CAMERA_MISSING',
  'CAMERA_STALE',
  'CAMERA_SKEW',
  'CAMERA_DUPLICATE',
  'CAMERA_FROZEN',
  'IMAGE_ENCODING',
  'IMAGE_SIZE',
  'IMAGE_DATA',
  'IMAGE_DECODE',
  'JOINT_MISSING',
  'JOINT_COUNT',
  'JOINT_DUPLICATE',
  'JOINT_NOT_FINITE',
  'JOINT_RANGE',
  'STATE_STALE',
  'TIME_BACKWARDS',
  'PROMPT_EMPTY',
  'PROMPT_TOO_LONG',
  'MESSAGE_DATA',
] as const;

/** What a configuration or a checkpoint can be refused for before anything moves. */
export const LOAD_CODES = [
  'CONFIG_UNKNOWN_KEY',
  'CONFIG_TYPE',
  'CONFIG_RANGE',
  'CONFIG_FILE',
  'CHECKPOINT_MISSING',
  'CHECKPOINT_TENSORS',
  'CHECKPOINT_STATS',
  'CHECKPOINT_TOKENIZER',
  'BACKEND_UNAVAILABLE',
  'DRIVER_TOO_OLD',
  'OUT_OF_MEMORY',
] as const;

/** What can go wrong between an accepted observation and a command, and around the node; none of these ends it. */
export const RUN_CODES = [
  'ENGINE_FAILED',
  'ENGINE_LATE',
  'DEVICE_LOST',
  'CHUNK_NOT_FINITE',
  'COMMAND_JUMP',
  'COMMAND_STARVED',
  'TICK_LATE',
  'CLOCK_STILL',
  'OUTPUT_SHARED',
  'NODE_DUPLICATE',
  'TOPIC_TYPE',
] as const;

/** What the command line and the set-up can be refused for. */
export const USAGE_CODES = ['USAGE', 'ENVIRONMENT', 'INVALID_ARGUMENT', 'INTERNAL'] as const;

/** What a replay can be refused for, and how it can fail its expectations. */
export const REPLAY_CODES = ['BAG_FILE', 'BAG_DATA', 'BAG_TOPIC', 'CHUNKS_DIFFER', 'INPUT_REFUSED'] as const;

export type RefusalCode = (typeof REFUSAL_CODES)[number];
export type LoadCode = (typeof LOAD_CODES)[number];
export type RunCode = (typeof RUN_CODES)[number];
export type UsageCode = (typeof USAGE_CODES)[number];
export type ReplayCode = (typeof REPLAY_CODES)[number];
export type ErrorCode = RefusalCode | LoadCode | RunCode | UsageCode | ReplayCode;

/** An error with a stable `code`; `message` is one sentence without the code. */
export class Pi05Error<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'Pi05Error';

  constructor(
    readonly code: C,
    message: string,
    /** Where the bad input came from: a topic, a file, a parameter. */
    readonly source?: string,
  ) {
    super(message);
  }

  override toString(): string {
    return `${this.code}: ${this.message}`;
  }
}

/** An input refused while the node runs. `source` is the topic. */
export class Refusal extends Pi05Error<RefusalCode> {
  constructor(code: RefusalCode, message: string, source: string) {
    super(code, message, source);
  }
}
