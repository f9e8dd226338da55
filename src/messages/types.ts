import type { RosTime } from '../time.js';

/** The ROS message types that a policy node receives and sends, by the names that ROS graphs and bags give them. */
export const ROS_TYPE = {
  Image: 'sensor_msgs/msg/Image',
  CompressedImage: 'sensor_msgs/msg/CompressedImage',
  JointState: 'sensor_msgs/msg/JointState',
  String: 'std_msgs/msg/String',
  Clock: 'rosgraph_msgs/msg/Clock',
  JointTrajectory: 'trajectory_msgs/msg/JointTrajectory',
  Float64: 'std_msgs/msg/Float64',
  Float64MultiArray: 'std_msgs/msg/Float64MultiArray',
  Bool: 'std_msgs/msg/Bool',
  Empty: 'std_msgs/msg/Empty',
  DiagnosticArray: 'diagnostic_msgs/msg/DiagnosticArray',
  DiagnosticStatus: 'diagnostic_msgs/msg/DiagnosticStatus',
  /** A service. */
  Trigger: 'std_srvs/srv/Trigger',
} as const;

/** `std_msgs/msg/Header`. */
export interface Header {
  readonly stamp: RosTime;
  readonly frame_id: string;
}

/** `trajectory_msgs/msg/JointTrajectoryPoint`: each array is empty or has one value per joint, in the joint's unit. */
export interface JointTrajectoryPoint {
  readonly positions: Float64Array;
  readonly velocities: Float64Array;
  readonly accelerations: Float64Array;
  readonly effort: Float64Array;
  readonly time_from_start: RosTime;
}

/** `trajectory_msgs/msg/JointTrajectory`. */
export interface JointTrajectory {
  readonly header: Header;
  readonly joint_names: readonly string[];
  readonly points: readonly JointTrajectoryPoint[];
}

/** `std_msgs/msg/Float64`. */
export interface Float64 {
  readonly data: number;
}

/** `std_msgs/msg/Float64MultiArray` without dimensions. */
export interface Float64MultiArray {
  readonly layout: { readonly dim: readonly never[]; readonly data_offset: number };
  readonly data: Float64Array;
}
