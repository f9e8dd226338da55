import { CdrWriter } from '@foxglove/cdr';
import type {
  ActionJoint,
  CameraConfig,
  PolicyConfig,
  SafetyConfig,
  ScheduleConfig,
} from '../../../src/config/config.js';
import type { ActionChunk, JointReading, RawImage } from '../../../src/frame/frame.js';
import { actionJoint as policyActionJoint, stateJoint } from '../policy/config.js';

export const MS = 1_000_000n;
export const SECOND = 1000n * MS;
/** The time at which tests begin, ns. */
export const T0 = 1000n * SECOND;

export const exterior: CameraConfig = {
  name: 'exterior',
  topic: 'exterior/image_raw',
  transport: 'raw',
  slot: 'base_0_rgb',
  rotate: 0,
  maxAge: 200n * MS,
  zeroStamp: 'refuse',
  maxStill: 0n,
};
export const wrist: CameraConfig = {
  name: 'wrist',
  topic: 'wrist/image_raw',
  transport: 'raw',
  slot: 'left_wrist_0_rgb',
  rotate: 0,
  maxAge: 200n * MS,
  zeroStamp: 'refuse',
  maxStill: 0n,
};

export { stateJoint };

export function actionJoint(name: string, changes: Partial<ActionJoint> = {}): ActionJoint {
  return policyActionJoint(name, { kind: 'position', ...changes });
}

/** The defaults at 10 Hz. */
export const SAFETY: SafetyConfig = {
  commandTimeout: 250n * MS,
  latchAfter: SECOND,
  latch: [],
  heartbeatTopic: '',
  heartbeatMaxAge: 500n * MS,
  allowSharedOutputs: false,
  maxTickGap: 250n * MS,
  hold: 'compliant',
  holdBeforePlan: false,
};
/** Holds are sent from the activation on. */
export const HOLDING = { safety: { ...SAFETY, holdBeforePlan: true } };

/** Two cameras, joints `a` and `b` in and out, 10 Hz. */
export function robot(changes: Partial<PolicyConfig> = {}, schedule: Partial<ScheduleConfig> = {}): PolicyConfig {
  return {
    checkpoint: '',
    assetId: '',
    backend: 'cpu',
    precision: 'bf16',
    threads: 1,
    flowSteps: 0,
    seed: 0n,
    prompt: 'pick up the red block',
    promptTopic: 'prompt',
    autostart: false,
    controlRate: 10,
    outputRate: undefined,
    schedule: {
      mode: 'async',
      replanSteps: 3,
      ensembleDecay: 0.01,
      rtc: { schedule: 'exp', horizon: undefined, maxWeight: 10 },
      delay: undefined,
      engineTimeout: SECOND,
      maxTickLateness: 20n * MS,
      lockstep: false,
      injectedDelay: 0n,
      injectedJitter: 0n,
      blendIn: 0n,
      maxChunkAge: undefined,
      ...schedule,
    },
    safety: SAFETY,
    sync: { maxSkew: 50n * MS },
    image: { minSize: 4, maxSize: 64 },
    cameras: [exterior, wrist],
    state: {
      mode: 'joints',
      topic: 'joint_states',
      maxAge: 100n * MS,
      zeroStamp: 'refuse',
      joints: [stateJoint('a'), stateJoint('b')],
    },
    action: { joints: [actionJoint('a'), actionJoint('b')], bound: 'none' },
    limits: 'finite',
    robotDescription: { topic: '', file: '', timeout: 10n * SECOND },
    tool: { link: '', lower: undefined, upper: undefined, maxSpeed: undefined, planes: [] },
    outputs: [],
    chunkTopic: 'chunk',
    ...changes,
  };
}

/** 4x4 rgb8 whose pixels differ by `shade`. */
export function image(stamp: bigint, shade = 0, changes: Partial<RawImage> = {}): RawImage {
  const data = Uint8Array.from({ length: 48 }, (_, i) => (i * 5 + shade * 31) % 256);
  return { stamp, width: 4, height: 4, step: 12, encoding: 'rgb8', data, ...changes };
}

export function joints(stamp: bigint, values: Readonly<Record<string, number>> = { a: 0, b: 0 }): JointReading {
  return {
    stamp,
    name: Object.keys(values),
    position: Float64Array.from(Object.values(values)),
    velocity: new Float64Array(0),
    effort: new Float64Array(0),
  };
}

/** The beginning of a message: a std_msgs/Header without a frame. */
export function header(stamp: bigint): CdrWriter {
  const writer = new CdrWriter();
  return writer
    .int32(Number(stamp / SECOND))
    .uint32(Number(stamp % SECOND))
    .string('');
}

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/** Two actions of an arm joint and a gripper. */
export const chunkOfTwoRows: ActionChunk = {
  stamp: 5_000_000_001n,
  joints: ['arm', 'gripper'],
  rows: 2,
  values: Float64Array.from([1, 2, 3, 4]),
  period: 0.1,
};
