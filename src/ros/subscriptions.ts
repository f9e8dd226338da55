import { decodeClock } from '../messages/decode.js';
import type { Delivery, InputMessage, PolicyInput } from '../messages/inputs.js';
import { ROS_TYPE } from '../messages/types.js';
import { DuplicateDeliveries } from './duplicate-deliveries.js';
import type { LifecycleNode, Qos, Rcl, Subscription } from './rcl.js';
import { type NativeRcl, takeArrived } from './rclnodejs-internals.js';

/** Messages that a subscription holds until the main thread takes them. */
const DEPTH: Readonly<Record<Delivery, number>> = {
  sensor_data: 5,
  // Joint states may arrive faster than a busy main thread takes them.
  joint_state: 50,
  reliable: 50,
};
/** In lock-step no message may be lost. */
const LOCKSTEP_DEPTH = 100;

/** Keep last, volatile. */
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

/** Keep last, reliable, transient local: a new subscriber receives the newest messages. */
export function transientLocal({ QoS }: Rcl, depth = 1): Qos {
  return new QoS(
    QoS.HistoryPolicy.RMW_QOS_POLICY_HISTORY_KEEP_LAST,
    depth,
    QoS.ReliabilityPolicy.RMW_QOS_POLICY_RELIABILITY_RELIABLE,
    QoS.DurabilityPolicy.RMW_QOS_POLICY_DURABILITY_TRANSIENT_LOCAL,
  );
}

export function qosFor(rcl: Rcl, delivery: Delivery, lockstep: boolean): Qos {
  if (delivery === 'reliable') return qos(rcl, DEPTH.reliable, true);
  return lockstep ? qos(rcl, LOCKSTEP_DEPTH, true) : qos(rcl, DEPTH[delivery], false);
}

export interface InputHandlers {
  /** While false, images and joint states are dropped before they are decoded; prompts are not. */
  readonly active: () => boolean;
  /** Called with the resolved topic of each message that arrives, also of one that is dropped. */
  readonly onArrival: (topic: string) => void;
  /** Called with each decoded message. Arrays may be views on bytes that belong to the message alone. */
  readonly onMessage: (message: InputMessage) => void;
  /** Called with anything that decoding or `onMessage` throws: a Refusal or an internal error. */
  readonly onError: (error: unknown) => void;
}

export interface Inputs {
  readonly subscriptions: readonly Subscription[];
  /**
   * Receives the images and joint states that have arrived. Call this at a control tick: on a busy machine several messages
   * and the tick are due at once, and the tick would come before them.
   */
  readonly receiveArrived: () => void;
}

/**
 * Subscribes to inputs of the policy. Messages are taken as serialised bytes, so that they pass through the decoders
 * that replay uses.
 */
export function subscribe(
  rcl: Rcl,
  native: NativeRcl,
  node: LifecycleNode,
  inputs: readonly PolicyInput[],
  lockstep: boolean,
  { active, onArrival, onMessage, onError }: InputHandlers,
): Inputs {
  const receivers: (() => void)[] = [];
  const subscriptions = inputs.flatMap(({ kind, type, topic, resolvedTopic, delivery, decode }) => {
    const receive = (cdr: Buffer): void => {
      onArrival(resolvedTopic);
      if (kind !== 'prompt' && !active()) return;
      try {
        onMessage(decode(cdr));
      } catch (error) {
        onError(error);
      }
    };
    const subscribeWith = (profile: Qos, callback: (cdr: Buffer) => void): Subscription =>
      node.createSubscription(type, topic, { qos: profile, isRaw: true }, callback);
    const profile = qosFor(rcl, delivery, lockstep);
    if (kind !== 'prompt') {
      const subscription = subscribeWith(profile, receive);
      receivers.push(() => takeArrived(native, subscription, profile.depth).forEach(receive));
      return [subscription];
    }
    // A latched prompt reaches only a transient local subscription, which in turn gets nothing from volatile publishers.
    const deliveries = new DuplicateDeliveries();
    return ([profile, transientLocal(rcl, DEPTH.reliable)] as const).map((one, index) =>
      subscribeWith(one, (cdr) => {
        if (!deliveries.isSecond(index as 0 | 1, cdr, performance.now())) receive(cdr);
      }),
    );
  });
  return { subscriptions, receiveArrived: () => receivers.forEach((receiveFrom) => receiveFrom()) };
}

/**
 * Subscribes to `/clock`. The queue keeps only the newest time; in lock-step it keeps all.
 * @param onTime called with each time, ns. @param onError called with anything that decoding or `onTime` throws.
 */
export function subscribeClock(
  rcl: Rcl,
  node: Pick<LifecycleNode, 'createSubscription'>,
  lockstep: boolean,
  onTime: (now: bigint) => void,
  onError: (error: unknown) => void,
): Subscription {
  const profile = lockstep ? qos(rcl, LOCKSTEP_DEPTH, true) : qos(rcl, 1, false);
  return node.createSubscription(ROS_TYPE.Clock, '/clock', { qos: profile, isRaw: true }, (cdr) => {
    try {
      onTime(decodeClock(cdr, '/clock'));
    } catch (error) {
      onError(error);
    }
  });
}
