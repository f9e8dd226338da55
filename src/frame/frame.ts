/** The plain data that flows through the house. No logic; times are nanoseconds as `bigint`. */

/** Pixel layouts that the engine takes as they are; 8 bits a channel. */
export type PixelEncoding = 'rgb8' | 'bgr8' | 'rgba8' | 'bgra8' | 'mono8';

export const BYTES_PER_PIXEL: Readonly<Record<PixelEncoding, number>> = {
  rgb8: 3,
  bgr8: 3,
  rgba8: 4,
  bgra8: 4,
  mono8: 1,
};

/** Pi0.5's image slots, in the order in which the model sees them. */
export const IMAGE_SLOTS = ['base_0_rgb', 'left_wrist_0_rgb', 'right_wrist_0_rgb'] as const;
export type ImageSlot = (typeof IMAGE_SLOTS)[number];

/** Pixels as they arrived: `height` rows of `step` bytes. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly step: number;
  readonly encoding: PixelEncoding;
  /** [height, step] bytes; not to be written to after it was handed over. */
  readonly data: Uint8Array;
}

/** One decoded camera image. */
export interface CameraFrame extends Pixels {
  /** Capture time from the message header, ns. */
  readonly stamp: bigint;
}

/** `sensor_msgs/Image` as decoded from CDR, before any check but that the bytes are there. */
export interface RawImage {
  readonly stamp: bigint;
  readonly width: number;
  readonly height: number;
  readonly step: number;
  readonly encoding: string;
  readonly data: Uint8Array;
}

/** `sensor_msgs/CompressedImage` as decoded from CDR. */
export interface CompressedImage {
  readonly stamp: bigint;
  readonly format: string;
  readonly data: Uint8Array;
}

/** `sensor_msgs/JointState`: values by joint name, in the message's units (rad, m, rad/s, N m …). */
export interface JointReading {
  readonly stamp: bigint;
  readonly name: readonly string[];
  readonly position: Float64Array;
  readonly velocity: Float64Array;
  readonly effort: Float64Array;
}

/** One camera's view in an observation, bound to the model's slot. */
export interface View {
  readonly camera: string;
  readonly slot: ImageSlot;
  readonly frame: CameraFrame;
}

/** Everything the policy sees at one instant; built only from inputs that passed every check. */
export interface Observation {
  /** The newest stamp in the set, ns. */
  readonly stamp: bigint;
  /** In slot order, one per configured camera. */
  readonly views: readonly View[];
  /** [state joints] the model's units before normalisation: (message − offset) / scale. */
  readonly state: Float64Array;
  readonly prompt: string;
}

/** One inference's result in the robot's units. */
export interface ActionChunk {
  /** Stamp of the observation it was computed from, ns. */
  readonly stamp: bigint;
  /** Action joints, one per column. */
  readonly joints: readonly string[];
  /** Steps in `values`. */
  readonly rows: number;
  /** [rows, joints] row by row; units per joint as configured (rad, rad/s, m …). */
  readonly values: Float64Array;
  /** Seconds between rows. */
  readonly period: number;
}

/** Why a command has the values it has. */
export type CommandReason = 'step' | 'hold' | 'stop';

/** What the robot is told at one control tick. */
export interface Command {
  /** Time of the tick, ns. */
  readonly time: bigint;
  readonly reason: CommandReason;
  /** [action joints] in the robot's units, as they go out: positions, or velocities where those are not integrated. */
  readonly values: Float64Array;
}
