import type { OutputConfig, PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { tickPeriod } from '../time.js';
import { chunkTrajectory, commandArray, commandTrajectory, trajectoryStart } from './builders.js';
import { decodeFloat64, decodeFloat64MultiArray, decodeJointTrajectory } from './decode.js';
import { encodeFloat64, encodeFloat64MultiArray, encodeJointTrajectory } from './encode.js';
import { type Float64, type Float64MultiArray, type JointTrajectory, ROS_TYPE } from './types.js';

/** One topic that the policy publishes on, and how a value becomes a message on it. */
export interface PolicyOutput<Value, Message> {
  /** As configured: relative names, before namespace and remapping. */
  readonly topic: string;
  readonly type: string;
  /** The message as plain data, for a live publisher. */
  readonly build: (value: Value) => Message;
  /** The same message as CDR, for a bag. */
  readonly encode: (value: Value) => Uint8Array;
}

/** Joint values in a command message. */
export interface JointCommand {
  readonly joints: readonly string[];
  /** [joints] in the units of the output: rad, rad/s, m … */
  readonly values: Float64Array;
}

/** One command topic. */
export interface CommandOutput {
  readonly topic: string;
  readonly type: string;
  /** Undefined for a command that needs no message, because the trajectory that was sent before contains it. */
  readonly build: (command: Command) => JointTrajectory | Float64MultiArray | Float64 | undefined;
  readonly encode: (command: Command) => Uint8Array | undefined;
  /**
   * Reads a command from a bag, whichever node published it: the values of an array or number in the output's joint order, or the
   * positions of a trajectory's first point by joint name, copied. Undefined where the message has no such values, and for a
   * trajectory of many points, which is no command of one time.
   * @throws Refusal MESSAGE_DATA.
   */
  readonly decode: (cdr: Uint8Array) => JointCommand | undefined;
}

export interface PolicyOutputs {
  /** Each accepted chunk, once. */
  readonly chunk: PolicyOutput<ActionChunk, JointTrajectory>;
  /** At each control tick, at most one message on each. */
  readonly commands: readonly CommandOutput[];
}

/**
 * All topics that the policy publishes on: the live node's publishers, replay's output bag and the recorded commands it reads.
 * @param rate of the messages with one point, Hz.
 */
export function policyOutputs(config: PolicyConfig, rate = config.controlRate): PolicyOutputs {
  const { action, chunkTopic, controlRate, outputs } = config;
  const isVelocity = action.joints.map(({ kind }) => kind === 'velocity');
  const names = action.joints.map(({ name }) => name);
  const buildChunk = (chunk: ActionChunk): JointTrajectory => chunkTrajectory(chunk, isVelocity);
  return {
    chunk: {
      topic: chunkTopic,
      type: ROS_TYPE.JointTrajectory,
      build: buildChunk,
      encode: (chunk) => encodeJointTrajectory(buildChunk(chunk)),
    },
    commands: outputs.map((output) => {
      switch (output.type) {
        case 'joint_trajectory':
          return trajectoryOutput(output, names, tickPeriod(rate));
        case 'joint_trajectory_chunk':
          return trajectoryOutput(output, names, tickPeriod(controlRate));
        case 'float64_multi_array':
          return arrayOutput(output, names);
        case 'float64':
          return numberOutput(output, names);
      }
    }),
  };
}

/** @param names the action joints, in the order of a command's values. @param period ns between positions. */
function trajectoryOutput(output: OutputConfig, names: readonly string[], period: bigint): CommandOutput {
  const { topic, joints, stamp } = output;
  const isChunk = output.type === 'joint_trajectory_chunk';
  const select = selection(names, joints);
  const build = (command: Command): JointTrajectory | undefined => {
    const { reason, values, following } = command;
    if (isChunk && reason !== 'stop' && following === undefined) return undefined;
    const rows = isChunk ? [values, ...(following ?? [])] : [values];
    return commandTrajectory(trajectoryStart(command, stamp), joints, rows.map(select), period);
  };
  return {
    topic,
    type: ROS_TYPE.JointTrajectory,
    build,
    encode: (command) => {
      const message = build(command);
      return message && encodeJointTrajectory(message);
    },
    decode: (cdr) => {
      const { joint_names, points } = decodeJointTrajectory(cdr, topic);
      if (isChunk && points.length > 1) return undefined;
      const values = points[0]?.positions;
      return values?.length === joint_names.length ? { joints: joint_names, values: values.slice() } : undefined;
    },
  };
}

function arrayOutput({ topic, joints }: OutputConfig, names: readonly string[]): CommandOutput {
  const select = selection(names, joints);
  const build = (command: Command): Float64MultiArray => commandArray(select(command.values));
  return {
    topic,
    type: ROS_TYPE.Float64MultiArray,
    build,
    encode: (command) => encodeFloat64MultiArray(build(command)),
    decode: (cdr) => {
      const { data } = decodeFloat64MultiArray(cdr, topic);
      return data.length === joints.length ? { joints, values: data.slice() } : undefined;
    },
  };
}

/** The output has one joint. */
function numberOutput({ topic, joints }: OutputConfig, names: readonly string[]): CommandOutput {
  const select = selection(names, joints);
  const build = (command: Command): Float64 => ({ data: select(command.values)[0]! });
  return {
    topic,
    type: ROS_TYPE.Float64,
    build,
    encode: (command) => encodeFloat64(build(command)),
    decode: (cdr) => ({ joints, values: Float64Array.of(decodeFloat64(cdr, topic)) }),
  };
}

/** Picks the values of `joints` from values in the order of `names`, as a copy. */
function selection(names: readonly string[], joints: readonly string[]): (values: Float64Array) => Float64Array {
  const columns = joints.map((joint) => names.indexOf(joint));
  return (values) => Float64Array.from(columns, (column) => values[column] ?? NaN);
}
