import { CdrWriter, EncapsulationKind } from '@foxglove/cdr';
import {
  checkEmpty,
  decodeBool,
  decodeClock,
  decodeCompressedImage,
  decodeFloat64,
  decodeFloat64MultiArray,
  decodeImage,
  decodeJointState,
  decodeJointTrajectory,
  decodeString,
} from '../../../src/messages/decode.js';
import type { TypeName, Value } from './cdr-reference.js';

type Fields = { readonly [field: string]: Value };
type Write = (writer: CdrWriter) => unknown;

/** One message type: valid messages, the decoder, and what the decoder has to return for the fields of the second reader. */
export interface CdrTarget {
  readonly samples: readonly Uint8Array[];
  readonly decode: (cdr: Uint8Array, topic: string) => unknown;
  /** @returns undefined where the fields are refused although they are of the type. */
  readonly expected: (fields: Fields, bytes: number) => unknown;
}

const MAX_SMALL_MESSAGE = 1 << 20;

export const CDR_TARGETS: Readonly<Record<TypeName, CdrTarget>> = {
  'sensor_msgs/msg/Image': {
    samples: both(
      (w) => writeImage(w, 'rgb8', 12),
      (w) => writeImage(w, 'mono8', 4),
    ),
    decode: decodeImage,
    expected: ({ header, height, width, encoding, is_bigendian, step, data }) => {
      const order = is_bigendian === 0 ? {} : { bigEndian: true };
      return stamped(header, (stamp) => ({ stamp, width, height, step, encoding: text(encoding), ...order, data }));
    },
  },
  'sensor_msgs/msg/CompressedImage': {
    samples: both((w) => bytes(writeHeader(w).string('jpeg'), 40)),
    decode: decodeCompressedImage,
    expected: ({ header, format, data }) => stamped(header, (stamp) => ({ stamp, format: text(format), data })),
  },
  'sensor_msgs/msg/JointState': {
    samples: both(
      (w) => floats(floats(floats(strings(writeHeader(w), ['a', 'bc', 'joint_3']), 3), 3), 3),
      (w) => floats(floats(floats(strings(writeHeader(w), []), 0), 0), 0),
      (w) => floats(floats(floats(strings(writeHeader(w), ['a', 'b']), 2), 0), 0),
    ),
    decode: decodeJointState,
    expected: ({ header, name, position, velocity, effort }, size) =>
      size > MAX_SMALL_MESSAGE
        ? undefined
        : stamped(header, (stamp) => ({ stamp, name: texts(name), position, velocity, effort })),
  },
  'std_msgs/msg/Float64': {
    samples: both((w) => w.float64(0.04)),
    decode: decodeFloat64,
    expected: ({ data }) => data,
  },
  'std_msgs/msg/String': {
    samples: both(
      (w) => w.string('pick up the éé block'),
      (w) => w.string(''),
    ),
    decode: decodeString,
    expected: ({ data }, size) => (size > MAX_SMALL_MESSAGE || !isPlainText(data) ? undefined : text(data)),
  },
  'std_msgs/msg/Bool': {
    samples: both(
      (w) => w.uint8(1),
      (w) => w.uint8(0),
    ),
    decode: decodeBool,
    expected: ({ data }) => data !== 0,
  },
  'std_msgs/msg/Empty': {
    // C++ and Python send one byte, since a structure without members is not valid in C.
    samples: both(
      (w) => w,
      (w) => w.uint8(0),
    ),
    decode: (cdr, topic) => {
      checkEmpty(cdr, topic);
      return {};
    },
    expected: () => ({}),
  },
  'rosgraph_msgs/msg/Clock': {
    samples: both((w) => w.int32(1_700_000_000).uint32(123_456_789)),
    decode: decodeClock,
    expected: ({ clock }) => nanoseconds(clock),
  },
  'std_msgs/msg/Float64MultiArray': {
    samples: both(
      (w) => floats(w.sequenceLength(0).uint32(0), 7),
      (w) => floats(w.sequenceLength(2).string('rows').uint32(1).uint32(2).string('').uint32(3).uint32(4).uint32(0), 2),
    ),
    decode: decodeFloat64MultiArray,
    expected: ({ data }) => ({ data }),
  },
  'trajectory_msgs/msg/JointTrajectory': {
    samples: both((w) => {
      strings(writeHeader(w), ['a', 'b']).sequenceLength(2);
      for (let point = 0; point < 2; point++)
        floats(floats(floats(floats(w, 2), 2), 0), 0)
          .int32(point)
          .uint32(5);
    }),
    decode: decodeJointTrajectory,
    expected: ({ header, joint_names, points }) =>
      stamped(header, (stamp) => ({
        header: {
          stamp: { sec: Number(stamp / 1_000_000_000n), nanosec: Number(stamp % 1_000_000_000n) },
          ...frame(header),
        },
        joint_names: texts(joint_names),
        points: (points as readonly Fields[]).map((point) => ({
          ...point,
          time_from_start: carried(point['time_from_start']!),
        })),
      })),
  },
};

/** Each message in both byte orders. */
function both(...writes: readonly Write[]): Uint8Array[] {
  return writes.flatMap((write) =>
    [EncapsulationKind.CDR_LE, EncapsulationKind.CDR_BE].map((kind) => {
      const writer = new CdrWriter({ kind });
      write(writer);
      return writer.data;
    }),
  );
}

function writeHeader(writer: CdrWriter): CdrWriter {
  return writer.int32(1_700_000_000).uint32(999_999_999).string('camera_optical');
}

function writeImage(writer: CdrWriter, encoding: string, step: number): void {
  bytes(writeHeader(writer).uint32(4).uint32(4).string(encoding).uint8(0).uint32(step), 4 * step);
}

function bytes(writer: CdrWriter, count: number): CdrWriter {
  return writer.sequenceLength(count).uint8Array(Uint8Array.from({ length: count }, (_, i) => i));
}

function strings(writer: CdrWriter, values: readonly string[]): CdrWriter {
  writer.sequenceLength(values.length);
  for (const value of values) writer.string(value);
  return writer;
}

function floats(writer: CdrWriter, count: number): CdrWriter {
  writer.sequenceLength(count);
  for (let i = 0; i < count; i++) writer.float64(i - 0.5);
  return writer;
}

function text(value: Value | undefined): string {
  return Buffer.from(value as Uint8Array).toString('utf8');
}

function texts(value: Value | undefined): string[] {
  return (value as readonly Value[]).map(text);
}

function isPlainText(value: Value | undefined): boolean {
  const content = value as Uint8Array;
  return !content.includes(0) && Buffer.from(text(content), 'utf8').equals(content);
}

/** ns since 1970; undefined for a time that no clock has. */
function nanoseconds(time: Value | undefined): bigint | undefined {
  const { sec, nanosec } = time as { sec: number; nanosec: number };
  const sum = BigInt(sec) * 1_000_000_000n + BigInt(nanosec);
  return sum >= 0n && sum < 2n ** 31n * 1_000_000_000n ? sum : undefined;
}

function stamped<T>(header: Value | undefined, build: (stamp: bigint) => T): T | undefined {
  const stamp = nanoseconds((header as Fields)['stamp']);
  return stamp === undefined ? undefined : build(stamp);
}

function frame(header: Value | undefined): { frame_id: string } {
  return { frame_id: text((header as Fields)['frame_id']) };
}

/** A duration, whose nanoseconds are less than a second. */
function carried(time: Value): { sec: number; nanosec: number } {
  const { sec, nanosec } = time as { sec: number; nanosec: number };
  return { sec: sec + Math.floor(nanosec / 1e9), nanosec: nanosec % 1e9 };
}
