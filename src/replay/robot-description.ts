import type { PolicyConfig } from '../config/config.js';
import { decodeString } from '../messages/decode.js';
import { ROS_TYPE } from '../messages/types.js';
import { readUrdfFile } from '../robot/description.js';
import { parseUrdf, type RobotModel } from '../robot/urdf.js';
import type { Bag } from './bag/bag.js';

/**
 * The URDF from the file of the configuration, or from its topic if the bag has it; else undefined.
 * @param config with resolved topics. @throws Pi05Error ROBOT_DESCRIPTION_MISSING, ROBOT_DESCRIPTION_DATA, BAG_DATA.
 */
export async function recordedRobotModel(
  { robotDescription: { topic, file } }: PolicyConfig,
  bag: Bag,
): Promise<RobotModel | undefined> {
  if (file !== '') return readUrdfFile(file);
  if (bag.topics.get(topic)?.type !== ROS_TYPE.String) return undefined;
  for await (const { data } of bag.messages(new Set([topic]))) return parseUrdf(decodeString(data, topic), topic);
  return undefined;
}
