import { decodeCompressedImage, decodeImage, decodeJointState, decodeString } from '../messages/decode.js';
import type { PolicyConfig } from '../config/config.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { LifecycleNode, Qos, Rcl, Subscription } from './rcl.js';

/** Joint states come faster than the main thread may look at them. */
const JOINT_DEPTH = 50;
const DEPTH = 5;
/** In lock-step nothing may be lost. */
const LOCKSTEP_DEPTH = 100;

export function qos(rcl: Rcl, depth: number, reliable: boolean): Qos {
  const { QoS } = rcl;
  const { RMW_QOS_POLICY_RELIABILITY_RELIABLE, RMW_QOS_POLICY_RELIABILITY_BEST_EFFORT } = QoS.ReliabilityPolicy;
  return new QoS(
    QoS.HistoryPolicy.RMW_QOS_POLICY_HISTORY_KEEP_LAST,
    depth,
    reliable ? RMW_QOS_POLICY_RELIABILITY_RELIABLE : RMW_QOS_POLICY_RELIABILITY_BEST_EFFORT,
    QoS.DurabilityPolicy.RMW_QOS_POLICY_DURABILITY_VOLATILE,
  );
}

export interface Inputs {
  readonly pipeline: Pipeline;
  /** Images and joint states that come while this is false are dropped before they are decoded. */
  readonly wanted: () => boolean;
  readonly now: () => bigint;
  readonly onPrompt: (text: string) => void;
  /** Whatever a callback throws: a refused message or a fault of ours. */
  readonly onError: (error: unknown) => void;
}

/**
 * Subscribes to the cameras, the joint state and the prompt; sensor-data QoS, reliable in lock-step. Messages are taken
 * as serialised bytes and decoded by the decoder that reads bags. `resolved` has the same topics by their full names.
 */
export function subscribe(
  rcl: Rcl,
  node: LifecycleNode,
  config: PolicyConfig,
  resolved: PolicyConfig,
  { pipeline, wanted, now, onPrompt, onError }: Inputs,
): Subscription[] {
  const { lockstep } = config.schedule;
  const sensor = (depth: number) => qos(rcl, lockstep ? LOCKSTEP_DEPTH : depth, lockstep);
  const add = (type: string, topic: string, profile: Qos, take: (cdr: Uint8Array) => void): Subscription =>
    node.createSubscription(type, topic, { qos: profile, isRaw: true }, (cdr) => {
      try {
        take(cdr);
      } catch (error) {
        onError(error);
      }
    });

  const cameras = config.cameras.map(({ name, topic, transport }, index) => {
    const from = resolved.cameras[index]?.topic ?? topic;
    return transport === 'raw'
      ? add('sensor_msgs/msg/Image', topic, sensor(DEPTH), (cdr) => {
          if (wanted()) pipeline.offerImage(name, decodeImage(cdr, from), now());
        })
      : add('sensor_msgs/msg/CompressedImage', topic, sensor(DEPTH), (cdr) => {
          if (wanted()) pipeline.offerCompressed(name, decodeCompressedImage(cdr, from), now());
        });
  });
  const joints =
    config.state.mode === 'none'
      ? []
      : [
          add('sensor_msgs/msg/JointState', config.state.topic, sensor(JOINT_DEPTH), (cdr) => {
            if (wanted()) pipeline.offerJoints(decodeJointState(cdr, resolved.state.topic), now());
          }),
        ];
  const prompt = add('std_msgs/msg/String', config.promptTopic, qos(rcl, DEPTH, true), (cdr) =>
    onPrompt(decodeString(cdr, resolved.promptTopic)),
  );
  return [...cameras, ...joints, prompt];
}
