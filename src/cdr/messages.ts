import type { CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import { BoundedReader } from './reader.js';

/**
 * The one decoder of the ROS messages that come in, live and from bags. Plain CDR, either byte order; a message that is
 * shorter than it declares or of another encapsulation is refused before anything is allocated.
 */

/** @returns `sensor_msgs/Image`; `data` is a view on `cdr`. @throws Refusal IMAGE_DATA. */
export function decodeImage(cdr: Uint8Array, topic: string): RawImage {
  const reader = new BoundedReader(cdr, 'sensor_msgs/Image', topic, 'IMAGE_DATA');
  const header = readHeader(reader);
  const height = reader.uint32('height');
  const width = reader.uint32('width');
  const encoding = reader.string('encoding');
  const isBigEndian = reader.uint8('is_bigendian') !== 0;
  const step = reader.uint32('step');
  const data = reader.bytes('data');
  return { ...header, width, height, step, encoding, isBigEndian, data };
}

/** @returns `sensor_msgs/CompressedImage`; `data` is a view on `cdr`. @throws Refusal IMAGE_DATA. */
export function decodeCompressedImage(cdr: Uint8Array, topic: string): CompressedImage {
  const reader = new BoundedReader(cdr, 'sensor_msgs/CompressedImage', topic, 'IMAGE_DATA');
  const header = readHeader(reader);
  const format = reader.string('format');
  const data = reader.bytes('data');
  return { ...header, format, data };
}

/** @returns `sensor_msgs/JointState` as it came; lengths may differ. @throws Refusal MESSAGE_DATA. */
export function decodeJointState(cdr: Uint8Array, topic: string): JointReading {
  const reader = new BoundedReader(cdr, 'sensor_msgs/JointState', topic, 'MESSAGE_DATA');
  const { stamp } = readHeader(reader);
  const name = reader.strings('name');
  const position = reader.float64s('position');
  const velocity = reader.float64s('velocity');
  const effort = reader.float64s('effort');
  return { stamp, name, position, velocity, effort };
}

/** @returns the text of a `std_msgs/String`. @throws Refusal MESSAGE_DATA, also for text that is not UTF-8. */
export function decodeString(cdr: Uint8Array, topic: string): string {
  const reader = new BoundedReader(cdr, 'std_msgs/String', topic, 'MESSAGE_DATA');
  const data = reader.string('data', true);
  return data;
}

function readHeader(reader: BoundedReader): { stamp: bigint; frameId: string } {
  const seconds = reader.int32('header.stamp.sec');
  const nanoseconds = reader.uint32('header.stamp.nanosec');
  if (nanoseconds >= 1_000_000_000) {
    throw reader.refusal(`Expected header.stamp.nanosec below 1000000000, received ${nanoseconds}`);
  }
  const frameId = reader.string('header.frame_id');
  return { stamp: BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds), frameId };
}
