import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { CdrWriter, EncapsulationKind } from '@foxglove/cdr';
import {
  decodeClock,
  decodeCompressedImage,
  decodeImage,
  decodeJointState,
  decodeJointTrajectory,
  decodeString,
} from '../../../src/messages/decode.js';
import { encodeJointTrajectory } from '../../../src/messages/encode.js';
import { Refusal } from '../../../src/errors.js';
import { fixture } from '../root.js';

const SERIALIZERS = ['rclpy', 'rosbags', 'rosbags_be'];
const STAMP = 1_700_000_000_123_456_789n;

function bytes(name: string, serializer: string): Uint8Array {
  return readFileSync(fixture('cdr', `${name}.${serializer}.cdr`));
}

function refusal(decode: () => unknown): Refusal {
  try {
    decode();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe.each(SERIALIZERS)('bytes written by %s', (serializer) => {
  test('an_image_is_read_field_by_field', () => {
    const image = decodeImage(bytes('image', serializer), 'camera');
    expect(image).toEqual({
      stamp: STAMP,
      width: 4,
      height: 3,
      step: 14,
      encoding: 'rgb8',
      data: Uint8Array.from({ length: 42 }, (_, i) => i),
    });
  });

  test('a_compressed_image_is_read_field_by_field', () => {
    const image = decodeCompressedImage(bytes('compressed', serializer), 'camera');
    expect({ ...image, data: Buffer.from(image.data).toString('latin1') }).toEqual({
      stamp: STAMP,
      format: 'jpeg',
      data: 'ÿØÿàrest',
    });
  });

  test.each([
    ['full', ['panda_joint1', 'panda_joint2', 'finger'], [0.1, -2.5, 0.04], [1, 0, -1e-9], [3.5, 4.5, 1e300]],
    ['positions_only', ['a', 'bc'], [1.5, 2.5], [], []],
    ['efforts_only', ['abcde'], [], [], [7.25]],
    ['empty', [], [], [], []],
  ])('joint states with %s values have each array in its own field', (name, names, position, velocity, effort) => {
    expect(decodeJointState(bytes(`joints_${name}`, serializer), 'joints')).toEqual({
      stamp: STAMP,
      name: names,
      position: Float64Array.from(position),
      velocity: Float64Array.from(velocity),
      effort: Float64Array.from(effort),
    });
  });

  test('strings_are_utf8', () => {
    expect(decodeString(bytes('string', serializer), 'prompt')).toBe('pick up the éé block');
    expect(decodeString(bytes('string_empty', serializer), 'prompt')).toBe('');
  });
});

test('pixels_are_a_view_on_the_message_even_inside_a_larger_buffer', () => {
  const message = bytes('image', 'rclpy');
  const pool = new Uint8Array(1000);
  pool.set(message, 37);
  const inside = pool.subarray(37, 37 + message.length);
  const { data } = decodeImage(inside, 'camera');
  expect(data.buffer).toBe(pool.buffer);
  expect(data).toEqual(decodeImage(message, 'camera').data);
});

test('a_message_at_any_address_decodes_to_the_same_values', () => {
  const message = bytes('joints_full', 'rosbags');
  const expected = decodeJointState(message, 'joints');
  for (let shift = 0; shift < 8; shift++) {
    const pool = new Uint8Array(message.length + 8);
    pool.set(message, shift);
    expect(decodeJointState(pool.subarray(shift, shift + message.length), 'joints')).toEqual(expected);
  }
});

/** The message cut at every length, inside a larger buffer, so that reading past the end would find bytes there. */
function truncations(message: Uint8Array): Uint8Array[] {
  const pool = new Uint8Array(message.length + 4096).fill(1);
  pool.set(message);
  return Array.from({ length: message.length }, (_, length) => pool.subarray(0, length));
}

describe.each(['rosbags', 'rosbags_be'])('messages written by %s and cut at every byte', (serializer) => {
  test.each([
    ['image', decodeImage, 'IMAGE_DATA'],
    ['compressed', decodeCompressedImage, 'IMAGE_DATA'],
    ['joints_full', decodeJointState, 'MESSAGE_DATA'],
    ['joints_positions_only', decodeJointState, 'MESSAGE_DATA'],
    ['joints_efforts_only', decodeJointState, 'MESSAGE_DATA'],
    ['joints_empty', decodeJointState, 'MESSAGE_DATA'],
    ['string', decodeString, 'MESSAGE_DATA'],
    ['string_empty', decodeString, 'MESSAGE_DATA'],
  ])('%s is refused', (name, decode, code) => {
    const whole = bytes(name, serializer);
    for (const short of truncations(whole)) {
      const { code: received, source, message } = refusal(() => decode(short, 'a/topic'));
      expect([received, source]).toEqual([code, 'a/topic']);
      expect(message).toMatch(/^Expected .*, received .* from a\/topic$/);
    }
    expect(() => decode(whole, 'a/topic')).not.toThrow();
  });
});

function jointState(write: (writer: CdrWriter) => void, kind = EncapsulationKind.CDR_LE): Uint8Array {
  const writer = new CdrWriter({ kind });
  writer.int32(0).uint32(0).string('');
  write(writer);
  return writer.data;
}

describe('malformed messages', () => {
  test.each([0xffffffff, 0x7fffffff, 100])('%d joint names are refused before any is read', (count) => {
    const { code, message } = refusal(() =>
      decodeJointState(
        jointState((w) => w.sequenceLength(count)),
        'joints',
      ),
    );
    expect(code).toBe('MESSAGE_DATA');
    expect(message).toContain(`Expected ${count * 4} bytes for name of sensor_msgs/msg/JointState, received 0`);
  });

  test.each([0xffffffff, 0x20000001, 3])('%d positions are refused before any is read', (count) => {
    const message = jointState((w) => w.sequenceLength(0).sequenceLength(count).float64(1).float64(2));
    expect(refusal(() => decodeJointState(message, 'joints')).message).toContain(
      `Expected ${count * 8} bytes for position`,
    );
  });

  test.each([
    ['sensor_msgs/msg/JointState', decodeJointState],
    ['std_msgs/msg/String', decodeString],
  ])('a_%s_of_more_than_a_megabyte_is_refused_before_it_is_read', (type, decode) => {
    expect(
      refusal(() =>
        decode(
          Uint8Array.from({ length: 2 ** 20 + 1 }, (_, i) => (i === 1 ? 1 : 0)),
          'a/topic',
        ),
      ),
    ).toMatchObject({
      code: 'MESSAGE_DATA',
      message: `Expected at most 1048576 bytes for ${type}, received 1048577 from a/topic`,
    });
  });

  test('a_text_with_a_nul_inside_is_refused', () => {
    const writer = new CdrWriter();
    writer.string('pick\0up');
    expect(refusal(() => decodeString(writer.data, 'prompt')).message).toBe(
      'Expected text for data, received a NUL after 4 characters from prompt',
    );
  });

  test.each([EncapsulationKind.CDR_LE, EncapsulationKind.CDR_BE])(
    'a_clock_is_nanoseconds_and_refused_when_cut_off',
    (kind) => {
      const writer = new CdrWriter({ kind });
      writer.int32(2);
      writer.uint32(3);
      expect(decodeClock(writer.data, '/clock')).toBe(2_000_000_003n);
      expect(refusal(() => decodeClock(writer.data.subarray(0, 8), '/clock'))).toMatchObject({
        code: 'MESSAGE_DATA',
        source: '/clock',
      });
    },
  );

  test('a_string_longer_than_the_message_is_refused', () => {
    const writer = new CdrWriter();
    writer.uint32(0xfffffff0);
    expect(refusal(() => decodeString(writer.data, 'prompt')).message).toBe(
      'Expected 4294967280 bytes for data of std_msgs/msg/String, received 0 from prompt',
    );
  });

  test('a_string_without_its_nul_is_refused', () => {
    const writer = new CdrWriter();
    writer.uint32(2).uint8(65).uint8(66);
    expect(refusal(() => decodeString(writer.data, 'prompt')).code).toBe('MESSAGE_DATA');
  });

  test('a_string_of_length_0_is_empty', () => {
    const writer = new CdrWriter();
    writer.uint32(0);
    expect(decodeString(writer.data, 'prompt')).toBe('');
  });

  test('a_prompt_that_is_not_utf8_is_refused_and_a_frame_id_is_not', () => {
    const latin = new CdrWriter();
    latin.uint32(2).uint8(0xe9).uint8(0);
    expect(refusal(() => decodeString(latin.data, 'prompt')).message).toContain('Expected UTF-8');
    const image = Uint8Array.from(bytes('image', 'rosbags'));
    image[16] = 0xe9;
    expect(decodeImage(image, 'camera')).toEqual(decodeImage(bytes('image', 'rosbags'), 'camera'));
    const header = { stamp: { sec: 1, nanosec: 2 }, frame_id: 'camera_optical' };
    const trajectory = encodeJointTrajectory({ header, joint_names: [], points: [] });
    trajectory[16] = 0xe9;
    expect(decodeJointTrajectory(trajectory, 'arm').header.frame_id).toBe('\ufffdamera_optical');
  });

  test.each([1_000_000_000, 2_500_000_001, 4_294_967_295])(
    '%d_nanoseconds_are_carried_over_into_seconds',
    (nanosec) => {
      const stamp = (message: CdrWriter): CdrWriter => message.int32(1_700_000_000).uint32(nanosec).string('');
      const expected = 1_700_000_000_000_000_000n + BigInt(nanosec);
      const joints = stamp(new CdrWriter()).sequenceLength(0).sequenceLength(0).sequenceLength(0).sequenceLength(0);
      expect(decodeJointState(joints.data, 'joints').stamp).toBe(expected);
      const image = stamp(new CdrWriter()).uint32(0).uint32(0).string('rgb8').uint8(0).uint32(0).sequenceLength(0);
      expect(decodeImage(image.data, 'camera').stamp).toBe(expected);
      const compressed = stamp(new CdrWriter()).string('jpeg').sequenceLength(0);
      expect(decodeCompressedImage(compressed.data, 'camera').stamp).toBe(expected);
    },
  );
});

test.each([0x0002, 0x0003, 0x0007, 0x0009, 0x0011, 0x0100, 0xffff])('encapsulation %d is refused', (kind) => {
  const image = Uint8Array.from(bytes('image', 'rosbags'));
  new DataView(image.buffer).setUint16(0, kind, false);
  expect(refusal(() => decodeImage(image, 'camera')).message).toContain(
    `received 0x${kind.toString(16).padStart(4, '0')}`,
  );
});

describe('impossible times are refused', () => {
  test.each([
    [-1, 250_000_000, '-1'],
    [2147483647, 1_000_000_000, '2147483648'],
  ])('a stamp of %d s and %d ns, with one code for images and joint states', (sec, nanosec, received) => {
    const message = new CdrWriter();
    message.int32(sec).uint32(nanosec).string('').string('jpeg').sequenceLength(0).sequenceLength(0).sequenceLength(0);
    for (const decode of [decodeCompressedImage, decodeImage, decodeJointState]) {
      expect(refusal(() => decode(message.data, 'topic'))).toMatchObject({
        code: 'MESSAGE_DATA',
        message: `Expected header.stamp.sec from 0 to 2147483647, received ${received} from topic`,
      });
    }
  });

  test.each([
    [-1, 0],
    [-2147483648, 999_999_999],
    [2147483647, 1_000_000_000],
    [2147483647, 4294967295],
  ])('a clock of %d s and %d ns', (sec, nanosec) => {
    const message = new CdrWriter();
    message.int32(sec).uint32(nanosec);
    expect(() => decodeClock(message.data, '/clock')).toThrow(Refusal);
  });
});
