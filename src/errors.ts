/**
 * Every error of this project. Its code stays the same from release to release; its message is one sentence that says what
 * was expected, what was received and from where. docs/errors.md has the cause and the remedy of each code.
 */

/** Refusals: why an input message, or the set of inputs, is not used. A refusal never stops the node. */
export const REFUSAL_CODES = [
  'CAMERA_MISSING',
  'CAMERA_STALE',
  'CAMERA_SKEW',
  'CAMERA_DUPLICATE',
  'CAMERA_FROZEN',
  'CAMERA_STILL',
  'IMAGE_ENCODING',
  'IMAGE_SIZE',
  'IMAGE_DATA',
  'IMAGE_DECODE',
  'JOINT_MISSING',
  'JOINT_COUNT',
  'JOINT_DUPLICATE',
  'JOINT_NOT_FINITE',
  'JOINT_RANGE',
  'JOINT_JUMP',
  'STATE_STALE',
  'TIME_BACKWARDS',
  'PROMPT_EMPTY',
  'PROMPT_TOO_LONG',
  'MESSAGE_DATA',
] as const;

/** Problems: what is wrong with a configuration or a checkpoint. They are found before the robot moves. */
export const PROBLEM_CODES = [
  'CONFIG_UNKNOWN_KEY',
  'CONFIG_TYPE',
  'CONFIG_RANGE',
  'CONFIG_FILE',
  'LIMIT_MISSING',
  'ROBOT_DESCRIPTION_MISSING',
  'ROBOT_DESCRIPTION_DATA',
  'ROBOT_DESCRIPTION_JOINT',
  'ROBOT_DESCRIPTION_LINK',
  'CHECKPOINT_MISSING',
  'CHECKPOINT_TENSORS',
  'CHECKPOINT_AMBIGUOUS',
  'CHECKPOINT_STATS',
  'CHECKPOINT_TOKENIZER',
  'CHECKPOINT_RTC',
  'BACKEND_UNAVAILABLE',
  'DRIVER_TOO_OLD',
  'OUT_OF_MEMORY',
] as const;

/** Faults: what goes wrong between an observation and a command, or around the node. No fault ends the node. */
export const FAULT_CODES = [
  'ENGINE_FAILED',
  'ENGINE_LATE',
  'DEVICE_LOST',
  'CHUNK_NOT_FINITE',
  'CHUNK_STALE',
  'CHUNK_AGE_LIMIT',
  'RTC_DELAY',
  'COMMAND_JUMP',
  'COMMAND_STARVED',
  'WORKSPACE',
  'FOLLOWING_ERROR',
  'STATE_LOST',
  'PROMPT_CHANGING',
  'TICK_LATE',
  'TICK_GAP',
  'TICK_RATE',
  'CLOCK_STILL',
  'CLOCK_BACKWARDS',
  'CLOCK_SHARED',
  'COMMAND_TIMEOUT',
  'COMMAND_LIMIT',
  'POLICY_SILENT',
  'POLICY_LOST',
  'GUARD_PAUSED',
  'GUARD_LINK',
  'GUARD_LOST',
  'GUARD_CONFIG',
  'LATCH_FILE',
  'EMERGENCY_STOP',
  'HEARTBEAT_LOST',
  'LIMITS_NONE',
  'OUTPUT_SHARED',
  'NODE_DUPLICATE',
  'TOPIC_TYPE',
  'OUTPUT_UNHEARD',
  'QOS_INCOMPATIBLE',
  'INPUT_SILENT',
] as const;

/** Errors of the command line and of the setup. */
export const USAGE_CODES = ['USAGE', 'ENVIRONMENT', 'INVALID_ARGUMENT', 'GUARD_RUNNING', 'INTERNAL'] as const;

/** Errors of a replay: the bag cannot be used, or the results are not the expected ones. */
export const REPLAY_CODES = [
  'BAG_FILE',
  'BAG_DATA',
  'BAG_TOPIC',
  'CHUNKS_DIFFER',
  'INPUT_REFUSED',
  'SEAM_JUMP',
] as const;

export type RefusalCode = (typeof REFUSAL_CODES)[number];
export type ProblemCode = (typeof PROBLEM_CODES)[number];
export type FaultCode = (typeof FAULT_CODES)[number];
export type UsageCode = (typeof USAGE_CODES)[number];
export type ReplayCode = (typeof REPLAY_CODES)[number];
export type ErrorCode = RefusalCode | ProblemCode | FaultCode | UsageCode | ReplayCode;

/** An error with a stable `code`. `message` is one sentence and does not contain the code. */
export class Pi05Error<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'Pi05Error';

  constructor(
    readonly code: C,
    message: string,
    /** Where the wrong input came from: a topic, a file or a parameter. */
    readonly source?: string,
  ) {
    super(message);
  }

  override toString(): string {
    return `${this.code}: ${this.message}`;
  }
}

/** Why an input was not used while the node runs. `source` is its topic. */
export class Refusal extends Pi05Error<RefusalCode> {
  constructor(code: RefusalCode, message: string, source: string) {
    super(code, message, source);
  }
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
