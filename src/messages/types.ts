/** The ROS message types that a policy node receives and sends, by the names that ROS graphs and bags give them. */
export const ROS_TYPE = {
  Image: 'sensor_msgs/msg/Image',
  CompressedImage: 'sensor_msgs/msg/CompressedImage',
  JointState: 'sensor_msgs/msg/JointState',
  String: 'std_msgs/msg/String',
  Clock: 'rosgraph_msgs/msg/Clock',
  JointTrajectory: 'trajectory_msgs/msg/JointTrajectory',
  Float64MultiArray: 'std_msgs/msg/Float64MultiArray',
  DiagnosticArray: 'diagnostic_msgs/msg/DiagnosticArray',
} as const;
