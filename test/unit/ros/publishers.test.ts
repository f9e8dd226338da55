import { expect, test } from '@jest/globals';
import { Publishers } from '../../../src/ros/publishers.js';
import type { LifecycleNode } from '../../../src/ros/rcl.js';
import { actionJoint, chunkOfTwoRows as chunk, robot } from '../pipeline/robot.js';

test('an_integrated_velocity_is_a_position_in_commands_and_a_velocity_in_chunks', () => {
  const sent: [string, unknown][] = [];
  const createPublisher = (type: string, topic: string) => ({
    publish: (message: unknown) => sent.push([`${topic} ${type}`, message]),
  });
  const node = { createLifecyclePublisher: createPublisher, createPublisher } as unknown as LifecycleNode;
  const joints = [actionJoint('arm', { kind: 'velocity', integrated: true }), actionJoint('gripper')];
  const output = {
    name: 'all',
    topic: 'out',
    type: 'joint_trajectory',
    stamp: 'zero',
    joints: ['gripper', 'arm'],
  } as const;
  const publishers = new Publishers(node, robot({ action: { joints, bound: 'none' }, outputs: [output] }));
  publishers.command({ time: 5n, reason: 'step', values: Float64Array.of(0.7, 0.04) });
  publishers.chunk(chunk);
  expect(sent).toMatchObject([
    [
      'out trajectory_msgs/msg/JointTrajectory',
      {
        joint_names: ['gripper', 'arm'],
        points: [
          {
            positions: Float64Array.of(0.04, 0.7),
            velocities: new Float64Array(0),
            time_from_start: { sec: 0, nanosec: 100_000_000 },
          },
        ],
      },
    ],
    [
      'chunk trajectory_msgs/msg/JointTrajectory',
      {
        points: [
          { velocities: Float64Array.of(1, NaN), positions: Float64Array.of(NaN, 2) },
          { velocities: Float64Array.of(3, NaN), positions: Float64Array.of(NaN, 4) },
        ],
      },
    ],
  ]);
});
