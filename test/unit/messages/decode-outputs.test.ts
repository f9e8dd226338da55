import { describe, expect, test } from '@jest/globals';
import { CdrWriter, EncapsulationKind } from '@foxglove/cdr';
import { encodeFloat64MultiArray, encodeJointTrajectory } from '../../../src/messages/encode.js';
import { decodeClock, decodeFloat64MultiArray, decodeJointTrajectory } from '../../../src/messages/decode.js';
import { Refusal } from '../../../src/errors.js';

/** Decoders of the messages that the policy publishes, which a replay also reads from bags, and of /clock. */

/** The code of the refusal that `decode` throws; 'nothing' if it throws none. */
function refusalCode(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
  return 'nothing';
}

const NONE = new Float64Array(0);
const KINDS = [
  ['little', EncapsulationKind.CDR_LE],
  ['big', EncapsulationKind.CDR_BE],
] as const;

describe.each(KINDS)('%s-endian', (_, kind) => {
  test('a_clock_is_nanoseconds', () => {
    const writer = new CdrWriter({ kind });
    writer.int32(1_700_000_000).uint32(123_456_789);
    expect(decodeClock(writer.data, '/clock')).toBe(1_700_000_000_123_456_789n);
  });

  test('the_data_of_an_array_is_read_after_its_layout', () => {
    const writer = new CdrWriter({ kind });
    writer.sequenceLength(2);
    for (const label of ['height', 'joint']) writer.string(label).uint32(2).uint32(4);
    writer.uint32(0).float64Array(Float64Array.of(1, -2.5, 1e300), true);
    expect(decodeFloat64MultiArray(writer.data, 'commands').data).toEqual(Float64Array.of(1, -2.5, 1e300));
  });

  test('a_trajectory_is_read_point_by_point', () => {
    const writer = new CdrWriter({ kind });
    writer.int32(5).uint32(6).string('base');
    writer.sequenceLength(2).string('a').string('bcd');
    writer.sequenceLength(2);
    for (const value of [1, 2]) {
      writer.float64Array(Float64Array.of(value, -value), true).float64Array(NONE, true);
      writer.float64Array(NONE, true).float64Array(Float64Array.of(value), true);
      writer.int32(value).uint32(500_000_000);
    }
    const point = (value: number) => ({
      positions: Float64Array.of(value, -value),
      velocities: NONE,
      accelerations: NONE,
      effort: Float64Array.of(value),
      time_from_start: { sec: value, nanosec: 500_000_000 },
    });
    expect(decodeJointTrajectory(writer.data, 'arm')).toEqual({
      header: { stamp: { sec: 5, nanosec: 6 }, frame_id: 'base' },
      joint_names: ['a', 'bcd'],
      points: [point(1), point(2)],
    });
  });
});

const point = {
  positions: Float64Array.of(1, 2),
  velocities: NONE,
  accelerations: NONE,
  effort: NONE,
  time_from_start: { sec: 0, nanosec: 0 },
};
const trajectory = encodeJointTrajectory({
  header: { stamp: { sec: 1, nanosec: 2 }, frame_id: 'f' },
  joint_names: ['a', 'b'],
  points: [point, point],
});
const array = encodeFloat64MultiArray({ layout: { dim: [], data_offset: 0 }, data: Float64Array.of(1, 2, 3) });

test('a_message_that_is_cut_at_any_byte_is_refused', () => {
  for (let length = 0; length < trajectory.byteLength; length++) {
    const cut = trajectory.slice(0, length);
    expect([length, refusalCode(() => decodeJointTrajectory(cut, 'arm'))]).toEqual([length, 'MESSAGE_DATA']);
  }
  for (let length = 0; length < array.byteLength; length++) {
    const cut = array.slice(0, length);
    expect([length, refusalCode(() => decodeFloat64MultiArray(cut, 'commands'))]).toEqual([length, 'MESSAGE_DATA']);
  }
  expect(refusalCode(() => decodeClock(Uint8Array.of(0, 1, 0, 0, 1, 0, 0), '/clock'))).toBe('MESSAGE_DATA');
});

test('a_count_beyond_the_message_is_refused_before_anything_is_allocated', () => {
  const huge = trajectory.slice();
  // After the encapsulation, the stamp, "f" with its NUL and padding, and the two names.
  new DataView(huge.buffer).setUint32(4 + 8 + 8 + 4 + 8 + 8, 0xffffffff, true);
  expect(() => decodeJointTrajectory(huge, 'arm')).toThrow(/Expected 103079215080 bytes for points/);
});

test('nanoseconds_of_more_than_a_second_are_carried_over', () => {
  const writer = new CdrWriter();
  writer.int32(1).uint32(1_500_000_000);
  expect(decodeClock(writer.data, '/clock')).toBe(2_500_000_000n);
});
