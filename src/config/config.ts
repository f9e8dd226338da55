import type { ImageSlot } from '../frame/frame.js';
import type { Units } from './units.js';

/**
 * The node's configuration after every check. ROS parameters are the only source (`schema.ts` declares them);
 * here they have their types and defaults, durations are nanoseconds, and the rules of `rules.ts` hold.
 */
export interface PolicyConfig {
  /** Checkpoint directory. */
  readonly checkpoint: string;
  /** Which of an openpi checkpoint's assets/<asset_id>/norm_stats.json applies; '' = the only one there is. */
  readonly assetId: string;
  readonly backend: 'auto' | 'cpu' | 'cuda';
  /** CPU inference threads; 0 = one per core. */
  readonly threads: number;
  /** Flow steps; 0 = the checkpoint's own number. */
  readonly flowSteps: number;
  readonly seed: bigint;
  readonly prompt: string;
  readonly promptTopic: string;
  readonly autostart: boolean;
  /** Control ticks per second. */
  readonly controlRate: number;
  readonly schedule: ScheduleConfig;
  readonly sync: { readonly maxSkew: bigint };
  readonly image: { readonly minSize: number; readonly maxSize: number };
  /** One or more, in slot order. */
  readonly cameras: readonly CameraConfig[];
  readonly state: StateConfig;
  readonly action: ActionConfig;
  readonly outputs: readonly OutputConfig[];
  /** Topic of whole chunks as `trajectory_msgs/JointTrajectory`. */
  readonly chunkTopic: string;
}

export interface ScheduleConfig {
  readonly mode: 'sync' | 'async';
  /** A new chunk is wanted after this many executed steps; 1 = every control tick. */
  readonly replanSteps: number;
  /** An inference without an answer after this long is reported as ENGINE_LATE, ns. */
  readonly engineTimeout: bigint;
  /** A control tick later than this is reported as TICK_LATE, ns. */
  readonly maxTickLateness: bigint;
  /** A tick waits for the observation of its own time and the inference in flight; for simulation in lock-step. */
  readonly lockstep: boolean;
}

export interface CameraConfig {
  readonly name: string;
  readonly topic: string;
  readonly transport: 'raw' | 'compressed';
  readonly slot: ImageSlot;
  /** Degrees by which the pixels are turned before the model sees them. */
  readonly rotate: 0 | 180;
  /** Older than this the stream is stale, ns. */
  readonly maxAge: bigint;
}

/** The state vector, joint by joint in the model's order. */
export interface StateConfig {
  /** 'none': the checkpoint takes no state in its prompt (openpi's pi05_libero). */
  readonly mode: 'joints' | 'none';
  readonly topic: string;
  readonly maxAge: bigint;
  readonly joints: readonly StateJoint[];
}

/** model value = (transform(message) − offset) / scale. */
export interface StateJoint extends Units {
  readonly name: string;
  readonly source: 'position' | 'velocity' | 'effort';
  /** What the message can say of it, in the message's units; −Infinity and Infinity where anything. */
  readonly lower: number;
  readonly upper: number;
}

export interface ActionConfig {
  /** One per action dimension, in the model's order. */
  readonly joints: readonly ActionJoint[];
  /** What happens to model values beyond ±1 in the velocity joints: nothing, each clipped, or the whole vector scaled. */
  readonly bound: 'none' | 'clip' | 'scale';
}

/**
 * robot value = transform⁻¹(model value × scale + offset). A delta is added to the observation's state of that joint before that,
 * both in the model's units.
 */
export interface ActionJoint extends Units {
  readonly name: string;
  /** 'velocity' also for relative commands that the robot itself adds up: sent as they are, and 0 stops. */
  readonly kind: 'position' | 'delta' | 'velocity';
  /** A velocity in an output of type 'joint_trajectory': it is integrated to positions. Such a joint is in the state and has a finite `maxVelocity`. */
  readonly integrated: boolean;
  /** Keeps its last command in the stop action. */
  readonly gripper: boolean;
  /** Model values above this become 1, others 0; undefined = as they are. */
  readonly binarize: number | undefined;
  /** Position limits in the robot's units; −Infinity and Infinity where none. A velocity joint with limits is a state joint too. */
  readonly lower: number;
  readonly upper: number;
  /** Per second and per second squared; Infinity where none. */
  readonly maxVelocity: number;
  readonly maxAcceleration: number;
}

/** What the commands of a joint are: velocities that are integrated go out as positions. */
export function commandQuantity({ kind, integrated }: ActionJoint): 'position' | 'velocity' {
  return kind === 'velocity' && !integrated ? 'velocity' : 'position';
}

/** One command topic: a group of action joints sent together. */
export interface OutputConfig {
  readonly name: string;
  readonly topic: string;
  /** trajectory_msgs/JointTrajectory of positions, or std_msgs/Float64MultiArray of the joints' own kinds. */
  readonly type: 'joint_trajectory' | 'float64_multi_array';
  readonly joints: readonly string[];
}
