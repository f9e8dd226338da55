import type { PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { type RosTime, toNanoseconds, toRosTime } from '../time.js';

/** The messages that a policy sends, live and into bags, as plain data by ROS's field names. */

export const TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory';
export const ARRAY = 'std_msgs/msg/Float64MultiArray';

/** `std_msgs/Float64MultiArray`. */
export interface NumberArray {
  layout: { dim: never[]; data_offset: number };
  data: Float64Array;
}

/** `trajectory_msgs/JointTrajectoryPoint`; arrays begin at the start of their buffers. */
export interface TrajectoryPoint {
  positions: Float64Array;
  velocities: Float64Array;
  accelerations: Float64Array;
  effort: Float64Array;
  time_from_start: RosTime;
}

/** `trajectory_msgs/JointTrajectory`. */
export interface Trajectory {
  header: { stamp: RosTime; frame_id: string };
  joint_names: readonly string[];
  points: TrajectoryPoint[];
}

const NONE = () => new Float64Array(0);

function trajectory(stamp: bigint, joints: readonly string[], points: TrajectoryPoint[]): Trajectory {
  return { header: { stamp: toRosTime(stamp), frame_id: '' }, joint_names: joints, points };
}

function point(time: bigint, positions: Float64Array, velocities: Float64Array): TrajectoryPoint {
  return { positions, velocities, accelerations: NONE(), effort: NONE(), time_from_start: toRosTime(time) };
}

/**
 * A whole chunk: header stamp = the observation's time; row i applies from i periods after that. Velocity joints have
 * velocities and the others positions; where a chunk has both kinds, NaN stands where a joint has no such value.
 * `velocity` says which of the chunk's joints are velocities.
 */
export function chunkMessage(chunk: ActionChunk, velocity: readonly boolean[]): Trajectory {
  const columns = chunk.joints.length;
  const pick = (row: number, wanted: boolean): Float64Array => {
    if (!velocity.includes(wanted)) return NONE();
    const values = chunk.values.slice(row * columns, (row + 1) * columns);
    return values.map((value, column) => (velocity[column] === wanted ? value : NaN));
  };
  const points = Array.from({ length: chunk.rows }, (_, row) =>
    point(toNanoseconds(row * chunk.period), pick(row, false), pick(row, true)),
  );
  return trajectory(chunk.stamp, chunk.joints, points);
}

/** Which action joints are velocities. */
export function velocityJoints({ action }: PolicyConfig): boolean[] {
  return action.joints.map(({ kind }) => kind === 'velocity');
}

/** What one output sends at each control tick. */
export type CommandMessage =
  | { readonly topic: string; readonly type: typeof TRAJECTORY; readonly message: (command: Command) => Trajectory }
  | { readonly topic: string; readonly type: typeof ARRAY; readonly message: (command: Command) => NumberArray };

/** One entry per output. @param period ns that a position command takes to be reached. */
export function commandMessages({ action, outputs }: PolicyConfig, period: bigint): CommandMessage[] {
  const names = action.joints.map(({ name }) => name);
  return outputs.map(({ topic, type, joints }): CommandMessage => {
    const columns = joints.map((joint) => names.indexOf(joint));
    const pick = (command: Command) => Float64Array.from(columns, (column) => command.values[column] ?? NaN);
    return type === 'joint_trajectory'
      ? {
          topic,
          type: TRAJECTORY,
          message: (command) => trajectory(command.time, joints, [point(period, pick(command), NONE())]),
        }
      : { topic, type: ARRAY, message: (command) => ({ layout: { dim: [], data_offset: 0 }, data: pick(command) }) };
  });
}
