import type { ImageSlot } from '../frame/frame.js';
import { IMAGE_SLOTS } from '../frame/frame.js';
import { toNanoseconds } from '../time.js';
import type { ActionJoint, CameraConfig, OutputConfig, PolicyConfig, StateJoint } from './config.js';
import { checkpointDirectory } from './checkpoint-directory.js';
import type { Pattern, Value } from './schema.js';

/** Returns the value of a checked parameter. @param member the camera, joint or output, for patterns with one. */
export type ReadParameter = <P extends Pattern>(pattern: P, member?: string) => Value<P>;

/** The configuration as a structure, from checked parameters. */
export function buildConfig(read: ReadParameter): PolicyConfig {
  const outputs = read('outputs.names').map((name): OutputConfig => ({
    name,
    topic: read('outputs.<output>.topic', name),
    type: read('outputs.<output>.type', name),
    stamp: read('outputs.<output>.stamp', name),
    joints: read('outputs.<output>.joints', name),
  }));
  const trajectories = outputs.filter(({ type }) => type === 'joint_trajectory');
  const sentAsPositions = new Set(trajectories.flatMap(({ joints }) => joints));
  return {
    checkpoint: checkpointDirectory(read('checkpoint')),
    assetId: read('asset_id'),
    backend: read('backend'),
    precision: read('precision'),
    threads: Number(read('threads')),
    flowSteps: Number(read('flow_steps')),
    seed: read('seed'),
    prompt: read('prompt'),
    promptTopic: read('prompt_topic'),
    autostart: read('autostart'),
    controlRate: read('control_rate'),
    outputRate: read('output_rate'),
    schedule: {
      mode: read('schedule.mode'),
      replanSteps: Number(read('schedule.replan_steps')),
      ensembleDecay: read('schedule.ensemble.decay'),
      rtc: {
        schedule: read('schedule.rtc.schedule'),
        horizon: optionalNumber(read('schedule.rtc.horizon')),
        maxWeight: read('schedule.rtc.max_weight'),
      },
      delay: optionalNanoseconds(read('schedule.delay')),
      engineTimeout: toNanoseconds(read('schedule.engine_timeout')),
      maxTickLateness: toNanoseconds(read('schedule.max_tick_lateness')),
      lockstep: read('schedule.lockstep'),
      injectedDelay: toNanoseconds(read('schedule.injected_delay')),
      injectedJitter: toNanoseconds(read('schedule.injected_jitter')),
      blendIn: toNanoseconds(read('schedule.blend_in')),
      maxChunkAge: optionalNanoseconds(read('schedule.max_chunk_age')),
    },
    safety: {
      commandTimeout: toNanoseconds(read('safety.command_timeout') ?? defaultTimeout(read('control_rate'))),
      latchAfter: toNanoseconds(read('safety.latch_after')),
      latch: read('safety.latch'),
      heartbeatTopic: read('safety.heartbeat_topic'),
      heartbeatMaxAge: toNanoseconds(read('safety.heartbeat_max_age')),
      maxTickGap: toNanoseconds(read('safety.max_tick_gap') ?? defaultTimeout(read('control_rate'))),
      hold: read('safety.hold'),
      holdBeforePlan: read('safety.hold_before_plan'),
      allowSharedOutputs: read('safety.allow_shared_outputs'),
    },
    sync: { maxSkew: toNanoseconds(read('sync.max_skew')) },
    image: { minSize: Number(read('image.min_size')), maxSize: Number(read('image.max_size')) },
    cameras: read('cameras.names')
      .map((name): CameraConfig => ({
        name,
        topic: read('cameras.<camera>.topic', name),
        transport: read('cameras.<camera>.transport', name),
        slot: read('cameras.<camera>.slot', name),
        rotate: read('cameras.<camera>.rotate', name) === 180n ? 180 : 0,
        maxAge: toNanoseconds(read('cameras.<camera>.max_age', name)),
        zeroStamp: read('cameras.<camera>.zero_stamp', name),
        maxStill: toNanoseconds(read('cameras.<camera>.max_still', name)),
      }))
      .sort((a, b) => slotOrder(a.slot) - slotOrder(b.slot)),
    state: {
      mode: read('state.mode'),
      topic: read('state.topic'),
      maxAge: toNanoseconds(read('state.max_age')),
      zeroStamp: read('state.zero_stamp'),
      joints: read('state.joints').map((name): StateJoint => ({
        name,
        topic: read('state.<joint>.topic', name),
        maxAge: optionalNanoseconds(read('state.<joint>.max_age', name)),
        source: read('state.<joint>.source', name),
        transform: read('state.<joint>.transform', name),
        scale: read('state.<joint>.scale', name),
        offset: read('state.<joint>.offset', name),
        lower: read('state.<joint>.lower', name) ?? -Infinity,
        upper: read('state.<joint>.upper', name) ?? Infinity,
      })),
    },
    limits: read('action.limits'),
    robotDescription: {
      topic: read('robot_description_topic'),
      file: read('robot_description_file'),
      timeout: toNanoseconds(read('robot_description_timeout')),
    },
    tool: {
      link: read('safety.tool_link'),
      lower: read('safety.workspace.lower'),
      upper: read('safety.workspace.upper'),
      maxSpeed: read('safety.max_tool_speed'),
      planes: read('safety.keep_out_planes.names').map((name) => ({
        name,
        normal: read('safety.keep_out_planes.<plane>.normal', name),
        offset: read('safety.keep_out_planes.<plane>.offset', name),
      })),
    },
    action: {
      joints: read('action.joints').map((name): ActionJoint => ({
        name,
        isJoint: read('action.<joint>.joint', name),
        kind: read('action.<joint>.kind', name),
        integrated: read('action.<joint>.kind', name) === 'velocity' && sentAsPositions.has(name),
        transform: read('action.<joint>.transform', name),
        scale: read('action.<joint>.scale', name),
        offset: read('action.<joint>.offset', name),
        gripper: read('action.<joint>.gripper', name),
        binarize: read('action.<joint>.binarize', name),
        // Infinite = absent; `limits.ts` reports it.
        lower: read('action.<joint>.lower', name) ?? -Infinity,
        upper: read('action.<joint>.upper', name) ?? Infinity,
        maxVelocity: read('action.<joint>.max_velocity', name) ?? Infinity,
        maxAcceleration: read('action.<joint>.max_acceleration', name) ?? Infinity,
        maxFollowingError: read('action.<joint>.max_following_error', name) ?? read('safety.max_following_error'),
      })),
      bound: read('action.bound'),
    },
    outputs,
    chunkTopic: read('chunk_topic'),
  };
}

function optionalNumber(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

function optionalNanoseconds(seconds: number | undefined): bigint | undefined {
  return seconds === undefined ? undefined : toNanoseconds(seconds);
}

/** Two control periods and 50 ms, s. A rate of 0 has been reported as a problem. */
function defaultTimeout(rate: number): number {
  return (rate > 0 ? 2 / rate : 0) + 0.05;
}

function slotOrder(slot: ImageSlot): number {
  return IMAGE_SLOTS.indexOf(slot);
}
