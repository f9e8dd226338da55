import type { ActionJoint, PolicyConfig, StateJoint } from '../../../src/config/config.js';
import type { PolicyModel } from '../../../src/policy/model.js';

export const TINY_MODEL: PolicyModel = {
  family: 'lerobot',
  stateInPrompt: true,
  paddedState: 0,
  slots: 3,
  actionDim: 32,
  horizon: 10,
  maxTokens: 48,
  vocab: 512,
  rtcTrainedMaxDelay: 0,
};

export function actionJoint(name: string, changes: Partial<ActionJoint> = {}): ActionJoint {
  return {
    name,
    isJoint: true,
    kind: 'velocity',
    integrated: false,
    transform: 'none',
    scale: 1,
    offset: 0,
    gripper: false,
    binarize: undefined,
    lower: -Infinity,
    upper: Infinity,
    maxVelocity: Infinity,
    maxAcceleration: Infinity,
    maxFollowingError: Infinity,
    ...changes,
  };
}

export function stateJoint(name: string, changes: Partial<StateJoint> = {}): StateJoint {
  return {
    name,
    topic: undefined,
    maxAge: undefined,
    source: 'position',
    transform: 'none',
    scale: 1,
    offset: 0,
    lower: -Infinity,
    upper: Infinity,
    ...changes,
  };
}

export function jointNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `joint${String(index + 1)}`);
}

/** Two cameras, the given number of joints, and defaults otherwise. */
export function policyConfig(joints: number, changes: Partial<PolicyConfig> = {}): PolicyConfig {
  return {
    checkpoint: '/nowhere',
    assetId: '',
    backend: 'cpu',
    precision: 'bf16',
    threads: 0,
    flowSteps: 0,
    seed: 0n,
    prompt: '',
    promptTopic: 'prompt',
    autostart: true,
    controlRate: 20,
    outputRate: undefined,
    schedule: {
      mode: 'async',
      replanSteps: 5,
      ensembleDecay: 0.01,
      rtc: { schedule: 'exp', horizon: undefined, maxWeight: 10 },
      engineTimeout: 1_000_000_000n,
      maxTickLateness: 20_000_000n,
      lockstep: false,
      delay: undefined,
      injectedDelay: 0n,
      injectedJitter: 0n,
      blendIn: 0n,
      maxChunkAge: undefined,
    },
    safety: {
      commandTimeout: 150_000_000n,
      latchAfter: 1_000_000_000n,
      latch: [],
      heartbeatTopic: '',
      heartbeatMaxAge: 500_000_000n,
      maxTickGap: 150_000_000n,
      hold: 'compliant',
      holdBeforePlan: false,
      allowSharedOutputs: false,
    },
    sync: { maxSkew: 50_000_000n },
    image: { minSize: 32, maxSize: 8192 },
    cameras: [
      {
        name: 'front',
        topic: 'front/image',
        transport: 'raw',
        slot: 'base_0_rgb',
        rotate: 0,
        maxAge: 200_000_000n,
        zeroStamp: 'refuse',
        maxStill: 0n,
      },
      {
        name: 'wrist',
        topic: 'wrist/image',
        transport: 'raw',
        slot: 'left_wrist_0_rgb',
        rotate: 0,
        maxAge: 200_000_000n,
        zeroStamp: 'refuse',
        maxStill: 0n,
      },
    ],
    state: {
      mode: 'joints',
      topic: 'joint_states',
      maxAge: 100_000_000n,
      zeroStamp: 'refuse',
      joints: jointNames(joints).map((name) => stateJoint(name)),
    },
    action: { joints: jointNames(joints).map((name) => actionJoint(name)), bound: 'none' },
    limits: 'finite',
    robotDescription: { topic: '', file: '', timeout: 10_000_000_000n },
    tool: { link: '', lower: undefined, upper: undefined, maxSpeed: undefined, planes: [] },
    outputs: [],
    chunkTopic: '~/chunk',
    ...changes,
  };
}
