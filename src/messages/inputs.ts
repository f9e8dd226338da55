import type { CameraConfig, PolicyConfig } from '../config/config.js';
import { neededJoints } from '../config/needed-joints.js';
import type { CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import { decodeCompressedImage, decodeFloat64, decodeImage, decodeJointState, decodeString } from './decode.js';
import { ROS_TYPE } from './types.js';

/** One decoded message for the policy. `topic` is a full name. Arrays may be views on the CDR bytes that they were decoded from. */
export type InputMessage =
  | { readonly kind: 'image'; readonly camera: string; readonly image: RawImage }
  | { readonly kind: 'compressed_image'; readonly camera: string; readonly image: CompressedImage }
  | { readonly kind: 'joint_state'; readonly topic: string; readonly reading: JointReading }
  | { readonly kind: 'prompt'; readonly text: string };

/**
 * How a live node subscribes: `sensor_data` is best effort, `joint_state` the same with a deeper queue, `reliable` is
 * for messages that are sent once.
 */
export type Delivery = 'sensor_data' | 'joint_state' | 'reliable';

/** One topic that the policy listens to. */
export interface PolicyInput {
  readonly kind: InputMessage['kind'];
  /** As configured: relative names, before namespace and remapping. */
  readonly topic: string;
  /** The full name, as in the ROS graph and in bags. */
  readonly resolvedTopic: string;
  readonly type: string;
  readonly delivery: Delivery;
  /** The camera that publishes it, for images. */
  readonly camera: CameraConfig | undefined;
  /** @throws Refusal IMAGE_DATA, MESSAGE_DATA, naming `resolvedTopic`. */
  readonly decode: (cdr: Uint8Array) => InputMessage;
}

/**
 * All topics that the policy listens to. The live node subscribes to these and replay reads these from a bag.
 * @param resolve gives a configured topic its full name; the identity where the topics of `config` are resolved already.
 */
export function policyInputs(
  config: PolicyConfig,
  resolve: (topic: string) => string = (topic) => topic,
): PolicyInput[] {
  const { cameras, promptTopic } = config;
  return [
    ...cameras.map((camera) => imageInput(camera, resolve(camera.topic))),
    ...jointStateInputs(config, resolve),
    promptInput(promptTopic, resolve(promptTopic)),
  ];
}

/** One for each topic of a joint; names that resolve to the same topic are one. */
function jointStateInputs(config: PolicyConfig, resolve: (topic: string) => string): PolicyInput[] {
  const byTopic = new Map(neededJoints(config).map((joint) => [resolve(joint.topic), joint]));
  return [...byTopic].map(([resolved, { topic, name, isNumber }]) =>
    isNumber ? numberInput(topic, resolved, name) : jointStateInput(topic, resolved),
  );
}

function imageInput(camera: CameraConfig, resolvedTopic: string): PolicyInput {
  const { name, topic, transport } = camera;
  const common = { topic, resolvedTopic, delivery: 'sensor_data', camera } as const;
  return transport === 'raw'
    ? {
        ...common,
        kind: 'image',
        type: ROS_TYPE.Image,
        decode: (cdr) => ({ kind: 'image', camera: name, image: decodeImage(cdr, resolvedTopic) }),
      }
    : {
        ...common,
        kind: 'compressed_image',
        type: ROS_TYPE.CompressedImage,
        decode: (cdr) => ({ kind: 'compressed_image', camera: name, image: decodeCompressedImage(cdr, resolvedTopic) }),
      };
}

function jointStateInput(topic: string, resolvedTopic: string): PolicyInput {
  return {
    kind: 'joint_state',
    topic,
    resolvedTopic,
    type: ROS_TYPE.JointState,
    delivery: 'joint_state',
    camera: undefined,
    decode: (cdr) => ({
      kind: 'joint_state',
      topic: resolvedTopic,
      reading: decodeJointState(cdr, resolvedTopic),
    }),
  };
}

/** The position of one joint as `std_msgs/Float64`. */
function numberInput(topic: string, resolvedTopic: string, joint: string): PolicyInput {
  const none = new Float64Array(0);
  const decode = (cdr: Uint8Array): InputMessage => {
    const position = Float64Array.of(decodeFloat64(cdr, resolvedTopic));
    const reading = { stamp: 0n, name: [joint], position, velocity: none, effort: none };
    return { kind: 'joint_state', topic: resolvedTopic, reading };
  };
  const common = { kind: 'joint_state', delivery: 'joint_state', camera: undefined } as const;
  return { ...common, topic, resolvedTopic, type: ROS_TYPE.Float64, decode };
}

function promptInput(topic: string, resolvedTopic: string): PolicyInput {
  return {
    kind: 'prompt',
    topic,
    resolvedTopic,
    type: ROS_TYPE.String,
    delivery: 'reliable',
    camera: undefined,
    decode: (cdr) => ({ kind: 'prompt', text: decodeString(cdr, resolvedTopic) }),
  };
}
