import type { OutputConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { type RosTime, toNanoseconds, toRosTime } from '../time.js';
import type { Float64MultiArray, JointTrajectory, JointTrajectoryPoint } from './types.js';

/**
 * Builds the messages that the policy publishes from chunks and commands. Every array owns its whole buffer, because
 * rclnodejs publishes a view from the start of its buffer.
 */

/**
 * All rows of a chunk. The header stamp is the observation's; row i applies i periods later. Velocity joints have
 * velocities, the others positions. In a chunk with both kinds, both arrays have an entry for every joint, NaN where the
 * joint is of the other kind.
 * @param isVelocity one entry per joint of the chunk.
 */
export function chunkTrajectory(chunk: ActionChunk, isVelocity: readonly boolean[]): JointTrajectory {
  const columns = chunk.joints.length;
  const values = (row: number, velocities: boolean): Float64Array => {
    if (!isVelocity.includes(velocities)) return new Float64Array(0);
    const all = chunk.values.slice(row * columns, (row + 1) * columns);
    return all.map((value, column) => (isVelocity[column] === velocities ? value : NaN));
  };
  const points = Array.from({ length: chunk.rows }, (_, row) =>
    trajectoryPoint(toRosTime(toNanoseconds(row * chunk.period)), values(row, false), values(row, true)),
  );
  return trajectory(toRosTime(chunk.stamp), chunk.joints, points);
}

/** When a trajectory begins. */
export interface TrajectoryStart {
  /** Of the header, ns; 0 = when the controller receives the message. */
  readonly stamp: bigint;
  /** From the stamp to the control tick, ns. */
  readonly elapsed: bigint;
}

/** @param stamp as configured for the output. The stop action always begins at once. */
export function trajectoryStart(
  { time, reason, observation = time }: Command,
  stamp: OutputConfig['stamp'],
): TrajectoryStart {
  if (stamp === 'zero' || reason === 'stop') return { stamp: 0n, elapsed: 0n };
  if (stamp === 'now' || observation > time) return { stamp: time, elapsed: 0n };
  return { stamp: observation, elapsed: time - observation };
}

/**
 * Commands as a trajectory of positions without velocities.
 * @param rows at least one, each with one position per joint. @param period ns between rows, and from the control tick to the
 * first one.
 */
export function commandTrajectory(
  { stamp, elapsed }: TrajectoryStart,
  joints: readonly string[],
  rows: readonly Float64Array[],
  period: bigint,
): JointTrajectory {
  const points = rows.map((positions, row) =>
    trajectoryPoint(toRosTime(elapsed + BigInt(row + 1) * period), positions, new Float64Array(0)),
  );
  return trajectory(toRosTime(stamp), joints, points);
}

/** A command without joint names or time. */
export function commandArray(values: Float64Array): Float64MultiArray {
  return { layout: { dim: [], data_offset: 0 }, data: values };
}

function trajectory(
  stamp: RosTime,
  joints: readonly string[],
  points: readonly JointTrajectoryPoint[],
): JointTrajectory {
  return { header: { stamp, frame_id: '' }, joint_names: joints, points };
}

function trajectoryPoint(
  time_from_start: RosTime,
  positions: Float64Array,
  velocities: Float64Array,
): JointTrajectoryPoint {
  return {
    positions,
    velocities,
    accelerations: new Float64Array(0),
    effort: new Float64Array(0),
    time_from_start,
  };
}
