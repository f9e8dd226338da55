/**
 * The messages between the node and the process that serves its parameters and logger levels. They go over Node.js's channel
 * between parent and child (structured clone, so an integer is a bigint).
 */

export interface NewValue {
  readonly name: string;
  /** `rcl_interfaces/msg/ParameterType`. */
  readonly type: number;
  readonly value: unknown;
}

/** A declared parameter with its value and description. */
export interface DeclaredParameter extends NewValue {
  readonly readOnly: boolean;
  /** `rcl_interfaces/msg/ParameterDescriptor`. */
  readonly descriptor: object;
}

/** `rcl_interfaces/msg/LoggerLevel`. */
export interface LoggerLevel {
  readonly name: string;
  readonly level: number;
}

/** `rcl_interfaces/msg/SetParametersResult`, and `SetLoggerLevelsResult`, which has the same fields. */
export interface Result {
  readonly successful: boolean;
  readonly reason: string;
}

/** What the node sends. */
export type FromNode =
  /** All parameters. The first message. */
  | { readonly kind: 'declared'; readonly parameters: readonly DeclaredParameter[] }
  /** After a change; sent before the response to the request that caused it. */
  | { readonly kind: 'changed'; readonly values: readonly NewValue[] }
  | { readonly kind: 'response'; readonly id: number; readonly body: readonly Result[] | readonly LoggerLevel[] };

/** What the node is asked for. All other requests are answered without it. */
export type NodeRequest =
  /** The response is one result: the parameters are set all together or not at all. */
  | { readonly kind: 'set_parameters'; readonly values: readonly NewValue[] }
  /** The response is one level per name. */
  | { readonly kind: 'get_logger_levels'; readonly names: readonly string[] }
  /** The response is one result per level. */
  | { readonly kind: 'set_logger_levels'; readonly levels: readonly LoggerLevel[] };

/** What the services send. */
export type FromServices =
  /** At most one at a time, and at most one per `REQUEST_INTERVAL_MS`. */
  | { readonly kind: 'request'; readonly id: number; readonly request: NodeRequest }
  /** At most once per second: how many requests were not executed, and why the first of them was not. */
  | { readonly kind: 'refused'; readonly count: number; readonly reason: string };

/** Limits of one request. */
export const LIMIT = {
  /** Names, parameters or levels. A preset has about 200 parameters, which `ros2 param load` sends in one request. */
  entries: 1000,
  /** Characters of all strings and elements of all arrays. */
  size: 65536,
  /** Names, parameters or levels that the node looks at together. */
  together: 16,
  /** Requests that wait for the node. */
  waiting: 64,
} as const;

/**
 * Entries of a request beyond which the process ends, since rclnodejs would need 20 µs and more for each to free its memory, and
 * a malformed request may announce any number.
 */
export const MAX_FREED_ENTRIES = 100_000;

/** The exit status of a process that ends for this reason. */
export const TOO_MANY_ENTRIES = 3;

/** The least time between two requests to the node, ms. A change of the prompt takes the node about a millisecond. */
export const REQUEST_INTERVAL_MS = 20;
