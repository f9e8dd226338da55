import type { CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import { fromRosTime, type RosTime } from '../time.js';
import { BoundedReader } from './cdr-reader.js';
import { type Header, type JointTrajectory, ROS_TYPE } from './types.js';

/**
 * Decoders of ROS messages, for the live node and for bags. They take plain CDR of either byte order, with its encapsulation
 * header. A message that is shorter than its own lengths, or of another encapsulation, is refused before anything is allocated.
 * `topic` is the full name, for refusals.
 */

/** @returns `sensor_msgs/msg/Image`; `data` is a view on `cdr`. @throws Refusal IMAGE_DATA, MESSAGE_DATA for its stamp. */
export function decodeImage(cdr: Uint8Array, topic: string): RawImage {
  const reader = new BoundedReader(cdr, ROS_TYPE.Image, topic, 'IMAGE_DATA');
  const { stamp } = readHeader(reader);
  const height = reader.uint32('height');
  const width = reader.uint32('width');
  const encoding = reader.string('encoding');
  const bigEndian = reader.uint8('is_bigendian') !== 0;
  const step = reader.uint32('step');
  const data = reader.bytes('data');
  return { stamp: fromRosTime(stamp), width, height, step, encoding, ...(bigEndian ? { bigEndian } : {}), data };
}

/** @returns `sensor_msgs/msg/CompressedImage`; `data` is a view on `cdr`. @throws Refusal IMAGE_DATA, MESSAGE_DATA for its stamp. */
export function decodeCompressedImage(cdr: Uint8Array, topic: string): CompressedImage {
  const reader = new BoundedReader(cdr, ROS_TYPE.CompressedImage, topic, 'IMAGE_DATA');
  const { stamp } = readHeader(reader);
  const format = reader.string('format');
  const data = reader.bytes('data');
  return { stamp: fromRosTime(stamp), format, data };
}

/** Limit of a joint state or a text, bytes. Reading a larger one would delay control ticks. */
const MAX_SMALL_MESSAGE = 1 << 20;

function smallReader(cdr: Uint8Array, type: string, topic: string): BoundedReader {
  const reader = new BoundedReader(cdr, type, topic, 'MESSAGE_DATA');
  if (cdr.byteLength <= MAX_SMALL_MESSAGE) return reader;
  throw reader.refusal(`Expected at most ${MAX_SMALL_MESSAGE} bytes for ${type}, received ${cdr.byteLength}`);
}

/** @returns `sensor_msgs/msg/JointState`, unchecked: the arrays may have different lengths. @throws Refusal MESSAGE_DATA. */
export function decodeJointState(cdr: Uint8Array, topic: string): JointReading {
  const reader = smallReader(cdr, ROS_TYPE.JointState, topic);
  const { stamp } = readHeader(reader);
  const name = reader.strings('name');
  const position = reader.float64s('position');
  const velocity = reader.float64s('velocity');
  const effort = reader.float64s('effort');
  return { stamp: fromRosTime(stamp), name, position, velocity, effort };
}

/**
 * @returns the text of a `std_msgs/msg/String`.
 * @throws Refusal MESSAGE_DATA, also for text that is not UTF-8 or contains a NUL, which would end it in C and C++.
 */
export function decodeString(cdr: Uint8Array, topic: string): string {
  const reader = smallReader(cdr, ROS_TYPE.String, topic);
  const data = reader.string('data', true);
  if (data.includes('\0'))
    throw reader.refusal(`Expected text for data, received a NUL after ${data.indexOf('\0')} characters`);
  return data;
}

/** @returns the value of a `std_msgs/msg/Bool`. @throws Refusal MESSAGE_DATA. */
export function decodeBool(cdr: Uint8Array, topic: string): boolean {
  return smallReader(cdr, ROS_TYPE.Bool, topic).uint8('data') !== 0;
}

/** Checks a `std_msgs/msg/Empty`, which has no fields. @throws Refusal MESSAGE_DATA. */
export function checkEmpty(cdr: Uint8Array, topic: string): void {
  smallReader(cdr, ROS_TYPE.Empty, topic);
}

/** @returns the time of a `rosgraph_msgs/msg/Clock`, ns. @throws Refusal MESSAGE_DATA. */
export function decodeClock(cdr: Uint8Array, topic: string): bigint {
  const reader = new BoundedReader(cdr, ROS_TYPE.Clock, topic, 'MESSAGE_DATA');
  return fromRosTime(readStamp(reader, 'clock'));
}

/** @returns the value of a `std_msgs/msg/Float64`, unchecked: it may be NaN. @throws Refusal MESSAGE_DATA. */
export function decodeFloat64(cdr: Uint8Array, topic: string): number {
  return new BoundedReader(cdr, ROS_TYPE.Float64, topic, 'MESSAGE_DATA').float64('data');
}

/** @returns `std_msgs/msg/Float64MultiArray` without its layout. @throws Refusal MESSAGE_DATA. */
export function decodeFloat64MultiArray(cdr: Uint8Array, topic: string): { data: Float64Array } {
  const reader = new BoundedReader(cdr, ROS_TYPE.Float64MultiArray, topic, 'MESSAGE_DATA');
  reader.sequence('layout.dim', 12, (field) => {
    reader.string(`${field}.label`);
    reader.uint32(`${field}.size`);
    reader.uint32(`${field}.stride`);
  });
  reader.uint32('layout.data_offset');
  return { data: reader.float64s('data') };
}

/** @returns `trajectory_msgs/msg/JointTrajectory`, unchecked: the arrays may have different lengths. @throws Refusal MESSAGE_DATA. */
export function decodeJointTrajectory(cdr: Uint8Array, topic: string): JointTrajectory {
  const reader = new BoundedReader(cdr, ROS_TYPE.JointTrajectory, topic, 'MESSAGE_DATA');
  const header = readHeader(reader);
  const joint_names = reader.strings('joint_names');
  const points = reader.sequence('points', 24, (field) => ({
    positions: reader.float64s(`${field}.positions`),
    velocities: reader.float64s(`${field}.velocities`),
    accelerations: reader.float64s(`${field}.accelerations`),
    effort: reader.float64s(`${field}.effort`),
    time_from_start: readTime(reader, `${field}.time_from_start`),
  }));
  return { header, joint_names, points };
}

function readHeader(reader: BoundedReader): Header {
  return { stamp: readStamp(reader, 'header.stamp'), frame_id: reader.string('header.frame_id') };
}

/**
 * A point in time: not before 1970, since nothing that is stamped so can be compared with a clock.
 * @throws Refusal MESSAGE_DATA, for images too.
 */
function readStamp(reader: BoundedReader, field: string): RosTime {
  const time = readTime(reader, field);
  if (time.sec >= 0 && time.sec < 2 ** 31) return time;
  throw reader.refusal(`Expected ${field}.sec from 0 to 2147483647, received ${time.sec}`, 'MESSAGE_DATA');
}

/** `builtin_interfaces/Time` or `builtin_interfaces/Duration`. Some drivers add to `nanosec` without carrying into `sec`. */
function readTime(reader: BoundedReader, field: string): RosTime {
  const sec = reader.int32(`${field}.sec`);
  const nanosec = reader.uint32(`${field}.nanosec`);
  return { sec: sec + Math.floor(nanosec / 1e9), nanosec: nanosec % 1e9 };
}
