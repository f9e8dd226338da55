import type { PolicyConfig } from '../config/config.js';
import { Pi05Error } from '../errors.js';
import { decodeString } from '../messages/decode.js';
import { ROS_TYPE } from '../messages/types.js';
import { readUrdfFile } from '../robot/description.js';
import { parseUrdf, type RobotModel } from '../robot/urdf.js';
import { toMilliseconds, toSeconds } from '../time.js';
import type { LifecycleNode, Qos, Rcl } from './rcl.js';

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
    return parseUrdf(await firstText(rcl, node, topic, timeout), topic);
  } finally {
    clearTimeout(waiting);
  }
}

/** The text of the first message of a std_msgs/String topic whose publisher is transient local. */
async function firstText(rcl: Rcl, node: LifecycleNode, topic: string, timeout: bigint): Promise<string> {
  let end = (): void => {};
  try {
    return await new Promise<string>((resolve, reject) => {
      const onMessage = (cdr: Buffer): void => {
        try {
          resolve(decodeString(cdr, topic));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      const subscription = node.createSubscription(ROS_TYPE.String, topic, { qos: qos(rcl), isRaw: true }, onMessage);
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

/** Keep last 1, reliable, transient local: the newest message, also if it was published earlier. */
function qos({ QoS }: Rcl): Qos {
  return new QoS(
    QoS.HistoryPolicy.RMW_QOS_POLICY_HISTORY_KEEP_LAST,
    1,
    QoS.ReliabilityPolicy.RMW_QOS_POLICY_RELIABILITY_RELIABLE,
    QoS.DurabilityPolicy.RMW_QOS_POLICY_DURABILITY_TRANSIENT_LOCAL,
  );
}
