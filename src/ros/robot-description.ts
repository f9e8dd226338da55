import type { PolicyConfig } from '../config/config.js';
import { Pi05Error } from '../errors.js';
import { decodeString } from '../messages/decode.js';
import { ROS_TYPE } from '../messages/types.js';
import { readUrdfFile } from '../robot/description.js';
import { parseUrdf, type RobotModel } from '../robot/urdf.js';
import { toMilliseconds, toSeconds } from '../time.js';
import type { LifecycleNode, Rcl, Subscription } from './rcl.js';
import { transientLocal } from './subscriptions.js';

/** After this time without a robot description the log says what is being waited for, ms. */
const REPORT_AFTER_MS = 1000;

/**
 * The URDF from the file or the topic of the configuration; undefined where it has neither. The first message counts.
 * @param config with resolved topics. @param report gets a sentence when it takes longer.
 * @throws Pi05Error ROBOT_DESCRIPTION_MISSING where none comes in time, ROBOT_DESCRIPTION_DATA, Refusal MESSAGE_DATA.
 */
export async function robotModel(
  rcl: Rcl,
  node: LifecycleNode,
  { robotDescription: { topic, file, timeout } }: PolicyConfig,
  report: (sentence: string) => void,
): Promise<RobotModel | undefined> {
  if (file !== '') return readUrdfFile(file);
  if (topic === '') return undefined;
  const waiting = setTimeout(() => report(`waiting for the robot description on ${topic}`), REPORT_AFTER_MS);
  try {
    return await firstModel(rcl, node, topic, timeout);
  } finally {
    clearTimeout(waiting);
  }
}

/** The URDF of the first message. */
async function firstModel(rcl: Rcl, node: LifecycleNode, topic: string, timeout: bigint): Promise<RobotModel> {
  let end = (): void => {};
  try {
    return await new Promise<RobotModel>((resolve, reject) => {
      const subscription = subscribeRobotDescription(rcl, node, topic, resolve, reject);
      const timer = setTimeout(() => {
        const sentence = `Expected a robot description on ${topic} (std_msgs/String, transient local), received none in ${toSeconds(timeout)} s`;
        reject(new Pi05Error('ROBOT_DESCRIPTION_MISSING', sentence, topic));
      }, toMilliseconds(timeout)).unref();
      end = () => {
        clearTimeout(timer);
        node.destroySubscription(subscription);
      };
    });
  } finally {
    end();
  }
}

/**
 * Subscribes to a std_msgs/String topic whose publisher is transient local.
 * @param onModel called with each URDF. @param onError called with Pi05Error ROBOT_DESCRIPTION_DATA, Refusal MESSAGE_DATA.
 */
export function subscribeRobotDescription(
  rcl: Rcl,
  node: Pick<LifecycleNode, 'createSubscription'>,
  topic: string,
  onModel: (model: RobotModel) => void,
  onError: (error: Error) => void,
): Subscription {
  return node.createSubscription(ROS_TYPE.String, topic, { qos: transientLocal(rcl), isRaw: true }, (cdr) => {
    try {
      onModel(parseUrdf(decodeString(cdr, topic), topic));
    } catch (error) {
      onError(error instanceof Error ? error : new Error(String(error)));
    }
  });
}
