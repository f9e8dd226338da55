import { describe, expect, test } from '@jest/globals';

import { chunkTrajectory, commandTrajectory, trajectoryStart } from '../../../src/messages/builders.js';
import type { Command } from '../../../src/frame/frame.js';
import { fromRosTime } from '../../../src/time.js';
import { chunkOfTwoRows as chunk } from '../pipeline/robot.js';

describe('commandTrajectory', () => {
  const MS = 1_000_000n;
  const step = {
    time: 1_700_000_000_000n * MS,
    reason: 'step',
    values: Float64Array.of(1),
    observation: 1_699_999_999_800n * MS,
  } as const;
  const build = (command: Command, stamp: 'zero' | 'now' | 'observation') => {
    const { header, points } = commandTrajectory(trajectoryStart(command, stamp), ['a'], [command.values], 100n * MS);
    return [fromRosTime(header.stamp), ...points.map(({ time_from_start }) => fromRosTime(time_from_start))];
  };

  test('begins_when_it_is_received_at_the_tick_or_at_the_observation_and_ends_one_period_after_the_tick', () => {
    expect(build(step, 'zero')).toEqual([0n, 100n * MS]);
    expect(build(step, 'now')).toEqual([step.time, 100n * MS]);
    expect(build(step, 'observation')).toEqual([step.observation, 300n * MS]);
  });

  test('of_a_hold_or_of_an_observation_that_is_newer_than_the_tick_begins_at_the_tick', () => {
    const { time, values } = step;
    expect(build({ time, reason: 'hold', values }, 'observation')).toEqual([time, 100n * MS]);
    expect(build({ ...step, observation: time + MS }, 'observation')).toEqual([time, 100n * MS]);
  });

  test('of_the_stop_action_begins_when_it_is_received', () => {
    for (const stamp of ['now', 'observation'] as const) {
      expect(build({ ...step, reason: 'stop' }, stamp)).toEqual([0n, 100n * MS]);
    }
  });
});

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
