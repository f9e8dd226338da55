/** The data that modules pass to each other: plain values without logic. Times are nanoseconds as `bigint`. */

/** Pixel encodings that the engine accepts, named as in sensor_msgs/image_encodings. 8 bits per channel. */
export type PixelEncoding = 'rgb8' | 'bgr8' | 'rgba8' | 'bgra8' | 'mono8';

export const BYTES_PER_PIXEL: Readonly<Record<PixelEncoding, number>> = {
  rgb8: 3,
  bgr8: 3,
  rgba8: 4,
  bgra8: 4,
  mono8: 1,
};

/** Encodings that are converted to rgb8 before the engine, named as in sensor_msgs/image_encodings, and their layouts. */
export const CONVERTED_ENCODINGS = {
  uyvy: { rowBytes: 2, rows: 1, sides: 'even width' },
  yuv422: { rowBytes: 2, rows: 1, sides: 'even width' },
  yuyv: { rowBytes: 2, rows: 1, sides: 'even width' },
  yuv422_yuy2: { rowBytes: 2, rows: 1, sides: 'even width' },
  nv12: { rowBytes: 1, rows: 1.5, sides: 'even' },
  nv21: { rowBytes: 1, rows: 1.5, sides: 'even' },
  bayer_rggb8: { rowBytes: 1, rows: 1, sides: 'any' },
  bayer_bggr8: { rowBytes: 1, rows: 1, sides: 'any' },
  bayer_gbrg8: { rowBytes: 1, rows: 1, sides: 'any' },
  bayer_grbg8: { rowBytes: 1, rows: 1, sides: 'any' },
  rgb16: { rowBytes: 6, rows: 1, sides: 'any' },
  bgr16: { rowBytes: 6, rows: 1, sides: 'any' },
  rgba16: { rowBytes: 8, rows: 1, sides: 'any' },
  bgra16: { rowBytes: 8, rows: 1, sides: 'any' },
} as const satisfies Record<string, EncodingLayout>;
export type ConvertedEncoding = keyof typeof CONVERTED_ENCODINGS;

export interface EncodingLayout {
  /** Bytes of a row for each pixel. */
  readonly rowBytes: number;
  /** Rows of data for each row of pixels: chroma may have rows of its own. */
  readonly rows: number;
  /** Which sides must be even. */
  readonly sides: 'any' | 'even' | 'even width';
}

/** Offsets of red, green and blue in a pixel, bytes. */
export const CHANNEL_OFFSETS: Readonly<Record<PixelEncoding, readonly [number, number, number]>> = {
  rgb8: [0, 1, 2],
  bgr8: [2, 1, 0],
  rgba8: [0, 1, 2],
  bgra8: [2, 1, 0],
  mono8: [0, 0, 0],
};

/** Pi0.5's image slots, in the model's order. */
export const IMAGE_SLOTS = ['base_0_rgb', 'left_wrist_0_rgb', 'right_wrist_0_rgb'] as const;
export type ImageSlot = (typeof IMAGE_SLOTS)[number];

/** Pixels as the camera sent them: `height` rows of `step` bytes. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly step: number;
  readonly encoding: PixelEncoding;
  /** [height, step] bytes. Must not be written to after it was passed on. */
  readonly data: Uint8Array;
}

/**
 * What identifies the colours of an image. Two images have the same hash if and, except for one pair in 2^64, only if they
 * have the same size and the same colour in each pixel; encoding, alpha and the padding of rows do not matter.
 */
export interface Fingerprint {
  readonly hash: bigint;
  /** Whether all pixels have one colour. */
  readonly uniform: boolean;
}

/** One decoded camera image. */
export interface DecodedImage extends Pixels {
  /** Capture time from the message header, ns. */
  readonly stamp: bigint;
}

/** A checked camera image in an encoding that is converted to rgb8. */
export interface UnconvertedImage {
  /** Capture time from the message header, ns. */
  readonly stamp: bigint;
  readonly width: number;
  readonly height: number;
  readonly step: number;
  readonly encoding: ConvertedEncoding;
  /** Byte order of 16-bit channels. */
  readonly bigEndian: boolean;
  /** Rows of `step` bytes: `height` of them, or half as many again. */
  readonly data: Uint8Array;
}

/** A decoded camera image that the pipeline can use. Its pixels are read by the engine only. */
export interface CameraFrame extends DecodedImage {
  readonly fingerprint: Fingerprint;
}

/** `sensor_msgs/Image` as decoded from CDR. Nothing is checked yet, except that the message is complete. */
export interface RawImage {
  readonly stamp: bigint;
  readonly width: number;
  readonly height: number;
  readonly step: number;
  readonly encoding: string;
  /** Byte order of channels of more than one byte. */
  readonly bigEndian?: boolean;
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
  /** 0 where the message has none. */
  readonly stamp: bigint;
  readonly name: readonly string[];
  readonly position: Float64Array;
  readonly velocity: Float64Array;
  readonly effort: Float64Array;
}

/** Measured positions of the action joints. */
export interface MeasuredPositions {
  /** The oldest stamp of a joint that is not a gripper, ns; where there are only grippers, of those. */
  readonly stamp: bigint;
  /** [action joints] in the robot's units; NaN where the position is not measured. */
  readonly positions: Float64Array;
}

/** One camera's image in an observation, and the model's slot that it fills. */
export interface View {
  readonly camera: string;
  readonly slot: ImageSlot;
  readonly frame: CameraFrame;
}

/** The policy's input at one time. Every input in it passed all checks. */
export interface Observation {
  /** The newest stamp of its inputs, ns. */
  readonly stamp: bigint;
  /** In slot order, one per configured camera. */
  readonly views: readonly View[];
  /** [state joints] in the model's units before normalisation: (message − offset) / scale. */
  readonly state: Float64Array;
  readonly prompt: string;
}

/** The result of one inference, in the robot's units. */
export interface ActionChunk {
  /** Stamp of its observation, ns. */
  readonly stamp: bigint;
  /** The action joints, one per column of `values`. */
  readonly joints: readonly string[];
  /** Number of steps, one per row of `values`. */
  readonly rows: number;
  /** [rows, joints], row-major; each joint in its own unit (rad, rad/s, m …). */
  readonly values: Float64Array;
  /** Time between two rows, s. */
  readonly period: number;
  /** What the engine computed; absent where no engine did. */
  readonly model?: ModelActions;
}

/** A chunk in the model's space. */
export interface ModelActions {
  /** [horizon, action dim] normalised. */
  readonly actions: Float32Array;
  /** [state joints] the state of its observation, in the model's units. Deltas are relative to it. */
  readonly state: Float64Array;
}

/** What a command is: a step of a chunk, a hold, or the stop action. */
export type CommandReason = 'step' | 'hold' | 'stop';

/** The command of one control tick. */
export interface Command {
  /** Time of the tick, ns. */
  readonly time: bigint;
  readonly reason: CommandReason;
  /** [action joints] in the robot's units, as published: positions, or velocities for velocity joints that are not integrated. */
  readonly values: Float64Array;
  /** Stamp of the observation of the chunk that a step comes from, ns; a hold and a stop have none. */
  readonly observation?: bigint;
  /**
   * The commands of the ticks that follow, as `values`, until they come to rest. Present where outputs of type
   * `joint_trajectory_chunk` get a new trajectory. Joints that are not sent as trajectories keep their value of this tick.
   */
  readonly following?: readonly Float64Array[];
}
