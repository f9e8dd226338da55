import { createHash } from 'node:crypto';
import type { PolicyConfig } from '../config/config.js';
import { Pi05Error } from '../errors.js';
import { excerpt } from '../format.js';
import type { Command } from '../frame/frame.js';
import { END_OF_ROS_TIME } from '../time.js';

/**
 * The messages between the policy process and the guard: one JSON object per line, in both directions, over the socket of
 * `socket.ts`. A line that is too long, a type or field that is unknown, and a field that is missing or of another type
 * are refused (GUARD_LINK); the receiver then closes the connection. Times are ns of ROS time, as decimal strings.
 */

/** Changes with every change of the messages or of their meaning. Both sides must have the same. */
export const PROTOCOL_VERSION = 2;

/** Longest line in bytes, without its newline: a trajectory of 1000 rows of 50 joints. */
export const MAX_LINE = 1_048_576;

/** Why the robot is stopped: a code of `errors.ts` and one sentence. */
export interface Cause {
  readonly code: string;
  readonly message: string;
}

/** Returns the value of a field, or undefined where the JSON value is not of the right kind. */
type Field<T> = (json: unknown) => T | undefined;

const text: Field<string> = (json) => (typeof json === 'string' ? json : undefined);
const count: Field<number> = (json) => (Number.isSafeInteger(json) && Number(json) >= 0 ? Number(json) : undefined);
const flag: Field<boolean> = (json) => (typeof json === 'boolean' ? json : undefined);
const time: Field<bigint> = (json) => {
  const value = typeof json === 'string' && /^(0|[1-9]\d{0,18})$/.test(json) ? BigInt(json) : undefined;
  return value === undefined || value >= END_OF_ROS_TIME ? undefined : value;
};
const cause: Field<Cause> = (json) => {
  if (typeof json !== 'object' || json === null || Object.keys(json).length !== 2) return undefined;
  const { code, message } = json as Record<string, unknown>;
  return typeof code === 'string' && typeof message === 'string' ? { code, message } : undefined;
};
const orNull =
  <T>(field: Field<T>): Field<T | null> =>
  (json) =>
    json === null ? null : field(json);
const oneOf =
  <const T extends string>(...choices: readonly T[]): Field<T> =>
  (json) =>
    choices.find((choice) => choice === json);
/** JSON has no NaN and no infinity: both are written as null and read as NaN, which no check of a limit accepts. */
const numbers: Field<Float64Array> = (json) =>
  Array.isArray(json) && json.every((item) => typeof item === 'number' || item === null)
    ? Float64Array.from(json as (number | null)[], (item) => item ?? NaN)
    : undefined;
const rows: Field<readonly Float64Array[]> = (json) => {
  const parsed = Array.isArray(json) ? json.map(numbers) : [undefined];
  return parsed.every((row) => row !== undefined) ? parsed : undefined;
};

/** Sent by the policy process. */
const POLICY_FIELDS = {
  /** The first message. `node`: the policy's full name. `config`: see `configHash`. */
  attach: { protocol: count, node: text, config: text, pid: count },
  /** Commands follow. */
  activate: {},
  /** The guard sends the stop action. No commands follow. */
  deactivate: {},
  /** Heartbeat at each control tick while active, before the command of the tick. */
  tick: {},
  /**
   * The command of a control tick. `values`: [action joints], see `Command`. `observation`: stamp of the observation that
   * the executed chunk came from; null where no chunk is executed. `following`: see `Command`; null where there is none.
   */
  command: {
    time,
    reason: oneOf('step', 'hold'),
    values: numbers,
    observation: orNull(time),
    following: orNull(rows),
  },
  /** The guard sends the stop action, and latches where `safety.latch` lists the code. */
  stop: { code: text, message: text },
  /** Lock-step only: the robot is stopped, and the simulation waits for a command. The guard sends the stop action again. */
  repeat_stop: {},
  /** Orderly exit: the guard sends the stop action and ends. */
  detach: {},
} as const;

/** Sent by the guard. */
const GUARD_FIELDS = {
  /** The answer to `attach`. `latched`: why no command passes until `~/resume`; null where it is not latched. */
  attached: { pid: count, latched: orNull(cause) },
  /** The other answer to `attach`; the connection closes. */
  refused: { code: text, message: text },
  /** Each control period, on the steady clock, from `attached` on. */
  heartbeat: {},
  /** The stop action was sent, at ROS time `time`. A command passes again when its observation is newer. */
  stopped: { code: text, message: text, time },
  /**
   * The answer to `deactivate`, after the stop action was sent. `acknowledged`: whether all reliable subscribers have
   * received it within a short time.
   */
  deactivated: { acknowledged: flag },
  /** No command passes until `~/resume`. Follows `stopped`. */
  latched: { code: text, message: text },
  /** `~/resume` ended the latch at ROS time `time`. A command passes when its observation is newer. */
  released: { time },
} as const;

type Fields = Readonly<Record<string, Readonly<Record<string, Field<unknown>>>>>;
type Message<Table extends Fields> = {
  [Type in keyof Table]: { readonly type: Type } & {
    readonly [Name in keyof Table[Type]]: Exclude<ReturnType<Table[Type][Name]>, undefined>;
  };
}[keyof Table];

export type PolicyMessage = Message<typeof POLICY_FIELDS>;
export type GuardMessage = Message<typeof GUARD_FIELDS>;
export type CommandMessage = Extract<PolicyMessage, { type: 'command' }>;

/** The message of a step or a hold. */
export function commandMessage(command: Command & { readonly reason: CommandMessage['reason'] }): CommandMessage {
  const { time, reason, values, observation = null, following = null } = command;
  return { type: 'command', time, reason, values, observation, following };
}

/** The command in a message. */
export function commandOf({ time, reason, values, observation, following }: CommandMessage): Command {
  return {
    time,
    reason,
    values,
    ...(observation !== null && { observation }),
    ...(following !== null && { following }),
  };
}

/** The line of a message, with its newline. */
export function encodeMessage(message: PolicyMessage | GuardMessage): string {
  const plain = (_: string, value: unknown): unknown => {
    if (typeof value === 'bigint') return String(value);
    return value instanceof Float64Array ? [...value] : value;
  };
  return `${JSON.stringify(message, plain)}\n`;
}

/** @param line without its newline. @throws Pi05Error GUARD_LINK. */
export function parsePolicyMessage(line: string): PolicyMessage {
  return parse(line, POLICY_FIELDS) as PolicyMessage;
}

/** @param line without its newline. @throws Pi05Error GUARD_LINK. */
export function parseGuardMessage(line: string): GuardMessage {
  return parse(line, GUARD_FIELDS) as GuardMessage;
}

function parse(line: string, table: Fields): Record<string, unknown> {
  const object = jsonObject(line);
  const type = object?.['type'];
  const fields = typeof type === 'string' && Object.hasOwn(table, type) ? table[type] : undefined;
  if (object === undefined || fields === undefined) {
    throw linkError(`Expected a message of type ${Object.keys(table).join(', ')}, received ${excerpt(line)}`);
  }
  const unknown = Object.keys(object).find((name) => name !== 'type' && !Object.hasOwn(fields, name));
  if (unknown !== undefined) {
    throw linkError(`Expected no field ${excerpt(unknown)} in ${String(type)}, received ${excerpt(line)}`);
  }
  const message: Record<string, unknown> = { type };
  for (const [name, field] of Object.entries(fields)) {
    const value = field(object[name]);
    if (value === undefined) throw linkError(`Expected ${name} in ${String(type)}, received ${excerpt(line)}`);
    message[name] = value;
  }
  return message;
}

function jsonObject(line: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(line);
    return typeof json === 'object' && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Splits the bytes of one connection into lines. */
export class LineReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The lines that `bytes` completes, without their newlines. @throws Pi05Error GUARD_LINK for a line beyond `MAX_LINE`. */
  push(bytes: Buffer): string[] {
    const lines: string[] = [];
    let buffer = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (let end = buffer.indexOf('\n'); end >= 0; end = buffer.indexOf('\n')) {
      checkLength(end);
      lines.push(buffer.toString('utf8', 0, end));
      buffer = buffer.subarray(end + 1);
    }
    checkLength(buffer.length);
    this.#rest = buffer;
    return lines;
  }
}

function checkLength(length: number): void {
  if (length > MAX_LINE) throw linkError(`Expected lines of at most ${MAX_LINE} bytes, received ${length}`);
}

function linkError(message: string): Pi05Error<'GUARD_LINK'> {
  return new Pi05Error('GUARD_LINK', message);
}

/**
 * A hash of every parameter that the guard depends on: control and output rate, lock-step, joint states, actions, outputs, safety, robot
 * description, tool and `use_sim_time`. Policy and guard must have the same.
 * @param config with resolved topics.
 */
export function configHash(config: PolicyConfig, simulated: boolean): string {
  const { controlRate, outputRate, schedule, state, action, limits, robotDescription, tool, outputs, safety } = config;
  const robot = { state, action, limits, robotDescription, tool, outputs };
  const relevant = { controlRate, outputRate, lockstep: schedule.lockstep, ...robot, safety, simulated };
  return createHash('sha256').update(canonical(relevant)).digest('hex');
}

/** Text that is the same for equal values: members are sorted, and numbers that JSON does not have are written as text. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
  }
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
