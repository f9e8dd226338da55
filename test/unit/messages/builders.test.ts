import { describe, expect, test } from '@jest/globals';

import { chunkTrajectory } from '../../../src/messages/builders.js';
import { chunkOfTwoRows as chunk } from '../pipeline/robot.js';

describe('chunkTrajectory', () => {
  test('has_the_observations_stamp_and_a_point_every_period', () => {
    const message = chunkTrajectory(chunk, [false, false]);
    expect(message.header.stamp).toEqual({ sec: 5, nanosec: 1 });
    expect(message.joint_names).toEqual(['arm', 'gripper']);
    expect(message.points.map((point) => point.time_from_start)).toEqual([
      { sec: 0, nanosec: 0 },
      { sec: 0, nanosec: 100_000_000 },
    ]);
  });

  test('a_chunk_of_positions_has_no_velocities', () => {
    const [, last] = chunkTrajectory(chunk, [false, false]).points;
    expect([...(last?.positions ?? [])]).toEqual([3, 4]);
    expect(last?.velocities).toHaveLength(0);
  });

  test('with_both_kinds_each_array_has_NaN_for_joints_of_the_other_kind', () => {
    const [first] = chunkTrajectory(chunk, [true, false]).points;
    expect([...(first?.positions ?? [])]).toEqual([NaN, 2]);
    expect([...(first?.velocities ?? [])]).toEqual([1, NaN]);
  });

  test('its_arrays_begin_at_the_start_of_their_buffers', () => {
    for (const { positions, velocities } of chunkTrajectory(chunk, [true, false]).points) {
      expect([positions.byteOffset, positions.buffer.byteLength]).toEqual([0, 16]);
      expect([velocities.byteOffset, velocities.buffer.byteLength]).toEqual([0, 16]);
    }
  });
});
