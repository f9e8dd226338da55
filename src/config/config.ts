import type { ImageSlot } from '../frame/frame.js';
import type { Units } from './units.js';

/**
 * The node's configuration, completely checked. It comes from ROS parameters only, which `schema.ts` declares. Here they have
 * their types and defaults, durations are nanoseconds, and the rules of `rules.ts` hold.
 */
export interface PolicyConfig {
  /** Absolute path of the checkpoint directory. */
  readonly checkpoint: string;
  /** Selects assets/<asset_id>/norm_stats.json of an openpi checkpoint; '' = the only one. */
  readonly assetId: string;
  readonly backend: 'auto' | 'cpu' | 'cuda';
  /** Of the matrix products on a GPU. */
  readonly precision: 'bf16' | 'fp8';
  /** CPU inference threads; 0 = one per core. */
  readonly threads: number;
  /** Flow steps; 0 = the checkpoint's own number. */
  readonly flowSteps: number;
  readonly seed: bigint;
  readonly prompt: string;
  readonly promptTopic: string;
  readonly autostart: boolean;
  /** Control ticks per second, Hz. */
  readonly controlRate: number;
  /** Messages of an output with one point or value per joint, Hz, between the control ticks interpolated; undefined = `controlRate`. */
  readonly outputRate: number | undefined;
  readonly schedule: ScheduleConfig;
  readonly safety: SafetyConfig;
  /** Largest difference between the stamps of one observation, ns. */
  readonly sync: { readonly maxSkew: bigint };
  /** Smallest and largest side of an image, pixels. */
  readonly image: { readonly minSize: number; readonly maxSize: number };
  /** At least one, in slot order. */
  readonly cameras: readonly CameraConfig[];
  readonly state: StateConfig;
  readonly action: ActionConfig;
  /** 'none': action joints may be without limits, which is reported for as long as the node runs. */
  readonly limits: 'finite' | 'none';
  readonly robotDescription: RobotDescriptionConfig;
  readonly tool: ToolConfig;
  readonly outputs: readonly OutputConfig[];
  /** Topic on which complete chunks are published as `trajectory_msgs/JointTrajectory`. */
  readonly chunkTopic: string;
}

export interface ScheduleConfig {
  readonly mode: 'sync' | 'async' | 'ensemble' | 'rtc' | 'rtc_trained';
  /** A new chunk is requested after this many executed steps; 1 = at every control tick. */
  readonly replanSteps: number;
  /** Mode `ensemble`: the i-th oldest chunk has the weight exp(−decay · i). */
  readonly ensembleDecay: number;
  /** Mode `rtc`. */
  readonly rtc: RtcConfig;
  /** Time from an observation to the arrival of its chunk, ns; undefined = estimated. */
  readonly delay: bigint | undefined;
  /** An inference that takes longer is reported as ENGINE_LATE, ns. */
  readonly engineTimeout: bigint;
  /** A control tick later than this is reported as TICK_LATE, ns. */
  readonly maxTickLateness: bigint;
  /** A tick waits for the observation of its own time and for the running inference; for lock-step simulation. */
  readonly lockstep: boolean;
  /** Shortest time from an observation's stamp to the arrival of its chunk, which then waits for a control tick, ns; 0 = none. */
  readonly injectedDelay: bigint;
  /** The injected delay is longer by up to this, ns. */
  readonly injectedJitter: bigint;
  /** Duration of the ramp after an activation or a stop, ns; 0 = none. */
  readonly blendIn: bigint;
  /** No step is executed when its chunk's observation is older, ns; undefined = the time that the chunk covers. */
  readonly maxChunkAge: bigint | undefined;
}

/** How real-time chunking guides a new chunk to agree with the rest of the one before. */
export interface RtcConfig {
  /** How the weights fall from the steps that are executed during the inference to `horizon`. */
  readonly schedule: 'linear' | 'exp' | 'ones' | 'zeros';
  /** The step from which the weights are 0; undefined = the number of steps that are left of the chunk before. */
  readonly horizon: number | undefined;
  /** Largest weight in a flow step. */
  readonly maxWeight: number;
}

/** When the robot is stopped, when it stays stopped until `~/resume`, and how it is held. */
export interface SafetyConfig {
  /** The guard stops the robot when no command has come for longer, ns. */
  readonly commandTimeout: bigint;
  /** The guard latches when the policy process was silent, or the guard itself did not run, for longer, ns. */
  readonly latchAfter: bigint;
  /** Codes that latch in addition to those that always do. */
  readonly latch: readonly string[];
  /** std_msgs/Empty topic without whose messages the robot does not move; '' = none. */
  readonly heartbeatTopic: string;
  /** Age of the newest heartbeat above which the guard latches, ns. */
  readonly heartbeatMaxAge: bigint;
  /** A control tick that comes later after the previous one stops the robot, ns; not in lock-step. */
  readonly maxTickGap: bigint;
  /** 'compliant': a hold moves to the measured position where the arm was moved by hand. */
  readonly hold: 'stiff' | 'compliant';
  /** Whether holds are sent before the first chunk after an activation. */
  readonly holdBeforePlan: boolean;
  /** Commands are sent although other nodes publish on the same topics. */
  readonly allowSharedOutputs: boolean;
}

export interface CameraConfig {
  readonly name: string;
  readonly topic: string;
  readonly transport: 'raw' | 'compressed';
  readonly slot: ImageSlot;
  /** Degrees by which the image is rotated before inference. */
  readonly rotate: 0 | 180;
  /** The stream is stale when its newest message is older, ns. */
  readonly maxAge: bigint;
  readonly zeroStamp: ZeroStamp;
  /** Time for which all pixels may stay the same under new stamps, ns; 0 = not checked. */
  readonly maxStill: bigint;
}

/** What a stamp of 0 means: a stamp as any other, which is too old, or that the time of arrival takes its place. */
export type ZeroStamp = 'refuse' | 'arrival';

/** The state vector; its joints are in the model's order. */
export interface StateConfig {
  /** 'none': the checkpoint's prompt has no state (openpi's pi05_libero). */
  readonly mode: 'joints' | 'none';
  /** Of all joints that have none of their own. */
  readonly topic: string;
  /** Of all joints that have none of their own, ns. */
  readonly maxAge: bigint;
  readonly zeroStamp: ZeroStamp;
  readonly joints: readonly StateJoint[];
}

/** model value = (transform(message) − offset) / scale. */
export interface StateJoint extends Units {
  readonly name: string;
  /** Undefined = that of the state. */
  readonly topic: string | undefined;
  /** The value is stale when it is older, ns; undefined = that of the state. With one of its own it may be older than the other inputs of an observation by that. */
  readonly maxAge: bigint | undefined;
  /** The field of the `sensor_msgs/JointState`; 'data': the value of a `std_msgs/Float64`, a position. */
  readonly source: 'position' | 'velocity' | 'effort' | 'data';
  /** Range of valid readings in the message's units; −Infinity and Infinity = no limit. */
  readonly lower: number;
  readonly upper: number;
}

/** Where the URDF of the robot comes from: a topic, a file, or neither (both ''). */
export interface RobotDescriptionConfig {
  readonly topic: string;
  readonly file: string;
  /** How long `configure` waits for the topic, ns. */
  readonly timeout: bigint;
}

/** Limits of the position of one link, in the frame of the URDF's root link. */
export interface ToolConfig {
  /** '' = the tool is not limited. */
  readonly link: string;
  /** [3] m; undefined = no limit. */
  readonly lower: readonly number[] | undefined;
  readonly upper: readonly number[] | undefined;
  /** m/s; undefined = no limit. */
  readonly maxSpeed: number | undefined;
  readonly planes: readonly PlaneConfig[];
}

/** The tool stays where normal · position / |normal| is at least `offset`. */
export interface PlaneConfig {
  readonly name: string;
  /** [3], of any length but 0. */
  readonly normal: readonly number[];
  /** m. */
  readonly offset: number;
}

export interface ActionConfig {
  /** One per action dimension, in the model's order. */
  readonly joints: readonly ActionJoint[];
  /** Model values beyond ±1 of the velocity joints: kept, each clipped, or the whole vector scaled down. */
  readonly bound: 'none' | 'clip' | 'scale';
}

/**
 * robot value = transform⁻¹(model value × scale + offset). A delta is first added to the observation's state of that joint, in
 * the model's units.
 */
export interface ActionJoint extends Units {
  readonly name: string;
  /** false: not a joint of the robot, such as a Cartesian delta. `lower` and `upper` then limit the value that is sent. */
  readonly isJoint: boolean;
  /** 'velocity' is also used for relative commands that the robot adds up itself: they are sent unchanged, and 0 stops. */
  readonly kind: 'position' | 'delta' | 'velocity';
  /** A velocity in an output of type 'joint_trajectory' is integrated to positions. The joint must be in the state and have a finite `maxVelocity`. */
  readonly integrated: boolean;
  /** The stop action keeps its last command. */
  readonly gripper: boolean;
  /** Model values above this become 1 and others 0; undefined = not changed. */
  readonly binarize: number | undefined;
  /**
   * Position limits in the robot's units. A velocity joint with position limits must be in the state. Infinite = absent: only
   * with `limits` 'none', or until the robot description adds them.
   */
  readonly lower: number;
  readonly upper: number;
  /** In the robot's units per second and per second squared. Infinite = absent, as above; not needed where `isJoint` is false. */
  readonly maxVelocity: number;
  readonly maxAcceleration: number;
  /** Largest distance of the measured position from the commanded ones, in the robot's units; Infinity = not checked. */
  readonly maxFollowingError: number;
}

/** Whether a joint's commands are positions or velocities. Integrated velocities are published as positions. */
export function commandQuantity({ kind, integrated }: ActionJoint): 'position' | 'velocity' {
  return kind === 'velocity' && !integrated ? 'velocity' : 'position';
}

/** One command topic, and the action joints that are sent there. */
export interface OutputConfig {
  readonly name: string;
  readonly topic: string;
  /**
   * trajectory_msgs/JointTrajectory of positions, with one point per control tick or with all that follow when they change, or
   * std_msgs/Float64MultiArray or Float64 of the joints' own kinds.
   */
  readonly type: 'joint_trajectory' | 'joint_trajectory_chunk' | 'float64_multi_array' | 'float64';
  /** Where the time of a message with a header begins: when the controller receives it, at the control tick, or at the observation. */
  readonly stamp: 'zero' | 'now' | 'observation';
  readonly joints: readonly string[];
}
