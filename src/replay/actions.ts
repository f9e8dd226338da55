import { decodeFloat64MultiArray, decodeJointTrajectory } from '../messages/decode.js';
import type { OutputConfig } from '../config/config.js';
import type { RecordedAction } from './listener.js';

export type Action = Omit<RecordedAction, 'time'>;

/**
 * What the robot was told on one of the policy's output topics: the numbers of an array in the output's joint order, or
 * the first point of a trajectory by joint name, as a copy. Undefined where the message holds no such values.
 * @throws Refusal MESSAGE_DATA.
 */
export function decodeAction(cdr: Uint8Array, topic: string, { type, joints }: OutputConfig): Action | undefined {
  if (type === 'float64_multi_array') {
    const { data } = decodeFloat64MultiArray(cdr, topic);
    return data.length === joints.length ? { joints, values: data.slice() } : undefined;
  }
  const { jointNames, points } = decodeJointTrajectory(cdr, topic);
  const values = points[0]?.positions;
  return values?.length === jointNames.length ? { joints: jointNames, values: values.slice() } : undefined;
}
