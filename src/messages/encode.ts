import { CdrWriter, EncapsulationKind } from '@foxglove/cdr';
import type { RosTime } from '../time.js';
import type { Float64, Float64MultiArray, JointTrajectory } from './types.js';

/** Encoders of the messages that the policy publishes: little-endian CDR with its encapsulation header. */

export function encodeJointTrajectory({ header, joint_names, points }: JointTrajectory): Uint8Array {
  const writer = new CdrWriter({ kind: EncapsulationKind.CDR_LE });
  writeTime(writer, header.stamp);
  writeString(writer, header.frame_id);
  writer.sequenceLength(joint_names.length);
  for (const name of joint_names) writeString(writer, name);
  writer.sequenceLength(points.length);
  for (const { positions, velocities, accelerations, effort, time_from_start } of points) {
    for (const values of [positions, velocities, accelerations, effort]) writer.float64Array(values, true);
    writeTime(writer, time_from_start);
  }
  return writer.data;
}

export function encodeFloat64({ data }: Float64): Uint8Array {
  const writer = new CdrWriter({ kind: EncapsulationKind.CDR_LE });
  writer.float64(data);
  return writer.data;
}

export function encodeFloat64MultiArray({ layout, data }: Float64MultiArray): Uint8Array {
  const writer = new CdrWriter({ kind: EncapsulationKind.CDR_LE });
  writer.sequenceLength(layout.dim.length);
  writer.uint32(layout.data_offset);
  writer.float64Array(data, true);
  return writer.data;
}

function writeTime(writer: CdrWriter, { sec, nanosec }: RosTime): void {
  writer.int32(sec);
  writer.uint32(nanosec);
}

/** `CdrWriter.string` counts characters where CDR counts bytes. */
function writeString(writer: CdrWriter, text: string): void {
  const bytes = Buffer.from(`${text}\0`);
  writer.sequenceLength(bytes.byteLength).uint8Array(bytes);
}
