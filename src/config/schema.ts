/**
 * Every parameter of the node, declared once. The TypeScript types, the ROS declarations, the checks of parameter files and
 * docs/parameters.md come from this table, which is why it is one long file. Rules between parameters are in `rules.ts`.
 */

import { IMAGE_SLOTS } from '../frame/frame.js';
import { ENGINE_LIMITS } from './engine-limits.js';
import { TRANSFORMS } from './units.js';

export type ParameterType = 'bool' | 'integer' | 'double' | 'string' | 'double_array' | 'string_array';

/** A parameter value: an integer is a bigint, a double is a number. */
export type ParameterValue = boolean | bigint | number | string | readonly number[] | readonly string[];

export interface Declaration {
  readonly type: ParameterType;
  /** Absent = the parameter must be given, unless `optional`. */
  readonly default?: ParameterValue;
  /** May be absent; what absence means is in `doc`. */
  readonly optional?: true;
  /** Unit of a number; absent = dimensionless. "joint's own" = rad or m, rad/s or m/s, N m or N. */
  readonly unit?: string;
  /** Smallest and largest legal number. */
  readonly min?: number;
  readonly max?: number;
  /** Numbers must be larger than this. */
  readonly above?: number;
  /** The number must not be 0. */
  readonly nonZero?: true;
  /** The legal strings or integers. */
  readonly choices?: readonly (string | bigint)[];
  /** The string must not be empty. */
  readonly nonEmpty?: true;
  /** The list must have this many elements. */
  readonly length?: number;
  /** Each name in this list has the parameters whose patterns begin with this prefix. */
  readonly members?: string;
  /** May be set while the node runs; every other parameter is read-only. */
  readonly live?: true;
  readonly doc: string;
}

export const SCHEMA = {
  checkpoint: {
    type: 'string',
    nonEmpty: true,
    doc: 'Checkpoint directory: weights, statistics and tokenizer. A relative path starts in the working directory, and checkpoints/NAME, if it does not exist there, in the package.',
  },
  asset_id: {
    type: 'string',
    default: '',
    doc: 'Selects assets/<asset_id>/norm_stats.json of an openpi checkpoint; empty = the only one.',
  },
  backend: {
    type: 'string',
    default: 'auto',
    choices: ['auto', 'cpu', 'cuda'],
    doc: 'Where the model runs; auto = on a GPU if one can be used, otherwise on the CPU.',
  },
  precision: {
    type: 'string',
    default: 'bf16',
    choices: ['bf16', 'fp8'],
    doc: 'Of the matrix products on a GPU: bf16, or fp8 for those of the prefix, which is faster and less exact and needs compute capability 9.0. With fp8 the model does not run on the CPU.',
  },
  threads: {
    type: 'integer',
    default: 0n,
    min: 0,
    max: ENGINE_LIMITS.maxThreads,
    doc: 'Inference threads of the CPU backend; 0 = one per core.',
  },
  flow_steps: {
    type: 'integer',
    default: 0n,
    min: 0,
    max: ENGINE_LIMITS.maxFlowSteps,
    doc: "Flow-matching steps from noise to actions; 0 = the checkpoint's own number.",
  },
  seed: {
    type: 'integer',
    default: 0n,
    min: 0,
    doc: 'Seed of the noise. The noise of an inference depends only on the seed and on the stamp of the observation.',
  },
  prompt: {
    type: 'string',
    default: '',
    live: true,
    doc: 'The task in words; empty = wait for the prompt topic.',
  },
  prompt_topic: {
    type: 'string',
    default: 'prompt',
    nonEmpty: true,
    doc: 'std_msgs/String topic; a message replaces the prompt.',
  },
  autostart: {
    type: 'bool',
    default: true,
    doc: 'Configure and activate at start, without a lifecycle manager.',
  },
  control_rate: {
    type: 'double',
    unit: 'Hz',
    above: 0,
    max: 1000,
    doc: 'Control ticks per second; each step of a chunk is executed for one tick.',
  },
  output_rate: {
    type: 'double',
    optional: true,
    unit: 'Hz',
    above: 0,
    max: 250,
    doc: 'Messages per second of the outputs of type joint_trajectory, float64_multi_array and float64, at least control_rate: the guard interpolates between commands, positions by a cubic spline and velocities by a ramp, within the limits. Not in lock-step and not in a replay. Absent = control_rate, nothing is interpolated.',
  },
  'schedule.mode': {
    type: 'string',
    default: 'async',
    choices: ['sync', 'async', 'ensemble', 'rtc', 'rtc_trained'],
    doc: 'sync = infer, execute, infer again; async = infer while executing; ensemble = async, and each step is the mean of what all chunks predict for it; rtc = async, and the flow steps guide a chunk to agree with the rest of the one before; rtc_trained = the same for checkpoints that were trained with known steps.',
  },
  'schedule.replan_steps': {
    type: 'integer',
    unit: 'ticks',
    min: 1,
    max: 10000,
    doc: 'A new chunk is requested after this many executed steps; 1 = at every control tick.',
  },
  'schedule.ensemble.decay': {
    type: 'double',
    default: 0.01,
    unit: 'per chunk',
    min: 0,
    max: 100,
    doc: 'Mode ensemble: the i-th oldest of the chunks that predict a step has the weight exp(−decay · i), i = 0 for the oldest; 0 = equal weights.',
  },
  'schedule.rtc.schedule': {
    type: 'string',
    default: 'exp',
    choices: ['linear', 'exp', 'ones', 'zeros'],
    doc: 'Mode rtc: how the guidance falls from 1 at the steps that are executed during the inference to 0 at schedule.rtc.horizon; ones = 1 up to there; zeros = 0 after the steps that are executed.',
  },
  'schedule.rtc.horizon': {
    type: 'integer',
    optional: true,
    unit: 'steps',
    min: 1,
    max: 10000,
    doc: 'Mode rtc: the step of the new chunk from which it is not guided; absent = as many steps as are left of the chunk before, which is its horizon − schedule.replan_steps or less.',
  },
  'schedule.rtc.max_weight': {
    type: 'double',
    default: 10,
    unit: 'factor',
    above: 0,
    max: 1e6,
    doc: 'Mode rtc: largest weight of the guidance in a flow step.',
  },
  'schedule.delay': {
    type: 'double',
    optional: true,
    unit: 's',
    min: 0,
    max: 3600,
    doc: 'Time from an observation to the arrival of its chunk that the schedule counts with; absent = estimated, the p95 of the last 64 inferences without the first one after a start.',
  },
  'schedule.engine_timeout': {
    type: 'double',
    default: 2,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'An inference that takes longer is reported as ENGINE_LATE, and its chunk is not used.',
  },
  'schedule.max_tick_lateness': {
    type: 'double',
    default: 0.02,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'A control tick later than this is reported as TICK_LATE.',
  },
  'schedule.lockstep': {
    type: 'bool',
    default: false,
    doc: 'Each tick waits for the observation of its own time and for the running inference; for simulation only.',
  },
  'schedule.injected_delay': {
    type: 'double',
    default: 0,
    unit: 's',
    min: 0,
    max: 3600,
    doc: 'A chunk arrives at the first control tick at least this long after the stamp of its observation, or later if the inference takes longer; for evaluation.',
  },
  'schedule.injected_jitter': {
    type: 'double',
    default: 0,
    unit: 's',
    min: 0,
    max: 3600,
    doc: 'schedule.injected_delay is longer by up to this, by a part that follows from the stamp of the observation; for evaluation.',
  },
  'schedule.blend_in': {
    type: 'double',
    default: 0,
    unit: 's',
    min: 0,
    max: 60,
    doc: 'After an activation or a stop the motion rises linearly to that of the policy in this time: velocities by a factor, positions from where the robot is; 0 = at once, within the limits. Not for grippers.',
  },
  'schedule.max_chunk_age': {
    type: 'double',
    optional: true,
    unit: 's',
    above: 0,
    max: 3600,
    doc: "A step is executed only while its chunk's observation is at most this old, counted from the stamp of the observation to the control tick; CHUNK_STALE beyond it; absent = horizon / control_rate, the time that the chunk covers.",
  },
  'safety.command_timeout': {
    type: 'double',
    optional: true,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'The guard stops the robot when no command has come for longer (COMMAND_TIMEOUT); absent = two control periods + 0.05 s.',
  },
  'safety.latch_after': {
    type: 'double',
    default: 1,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'The guard latches when the policy process was silent, or the guard itself did not run, for longer. Only ~/resume ends the latch.',
  },
  'safety.latch': {
    type: 'string_array',
    default: [],
    doc: 'Codes that latch in addition to those that always do (docs/errors.md): after a stop for one of them only ~/resume lets the robot move again.',
  },
  'safety.heartbeat_topic': {
    type: 'string',
    default: '',
    doc: "std_msgs/Empty topic of a dead man's switch: the robot moves only while messages come (HEARTBEAT_LOST); empty = none.",
  },
  'safety.heartbeat_max_age': {
    type: 'double',
    default: 0.5,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'Age of the newest message of safety.heartbeat_topic above which the robot is stopped and the guard latches.',
  },
  'safety.max_tick_gap': {
    type: 'double',
    optional: true,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'A control tick that comes later than this after the previous one sends the stop action; motion continues with a chunk of an observation newer than the stop. Not in lock-step; absent = two control periods + 0.05 s.',
  },
  'safety.max_following_error': {
    type: 'double',
    default: 0.2,
    unit: 'rad or m',
    above: 0,
    doc: 'Largest distance of a measured joint from what was commanded during the last 0.25 s; beyond it the stop action is sent (FOLLOWING_ERROR). For velocity outputs the distances covered in 0.5 s are compared. Grippers are exempt, since fingers stall on what they hold. The lag of a controller does not count, so 0.2 rad (11°) is far above the normal error of the robots in configs/ and below what moves a hand or a blocked link unnoticed.',
  },
  'safety.hold': {
    type: 'string',
    default: 'compliant',
    choices: ['stiff', 'compliant'],
    doc: 'How a hold treats an arm that is moved by hand: stiff = it keeps the last command, up to max_following_error; compliant = once a joint is further away than half of max_following_error, the hold moves to the measured position, within the limits of the joint. The default does not push back against people; a sagging arm does not sink, since it stays within half of max_following_error.',
  },
  'safety.hold_before_plan': {
    type: 'bool',
    default: false,
    doc: 'Whether holds are sent before the first chunk after an activation. In lock-step they always are, since the simulation waits for a command.',
  },
  'safety.tool_link': {
    type: 'string',
    default: '',
    doc: 'Link of the URDF whose position is limited by the parameters below, such as the hand; needs a robot description. Empty = the tool is not limited.',
  },
  'safety.workspace.lower': {
    type: 'double_array',
    optional: true,
    length: 3,
    unit: 'm',
    doc: 'Lowest x, y and z of the tool in the frame of the root link; absent = no lower limit.',
  },
  'safety.workspace.upper': {
    type: 'double_array',
    optional: true,
    length: 3,
    unit: 'm',
    doc: 'Highest x, y and z of the tool in the frame of the root link; absent = no upper limit.',
  },
  'safety.max_tool_speed': {
    type: 'double',
    optional: true,
    unit: 'm/s',
    above: 0,
    doc: 'Largest speed of the tool; absent = not limited.',
  },
  'safety.keep_out_planes.names': {
    type: 'string_array',
    default: [],
    members: 'safety.keep_out_planes.<plane>.',
    doc: 'Names of planes that the tool must not cross, which you choose, such as table.',
  },
  'safety.keep_out_planes.<plane>.normal': {
    type: 'double_array',
    length: 3,
    doc: 'Direction towards the allowed side, in the frame of the root link; of any length.',
  },
  'safety.keep_out_planes.<plane>.offset': {
    type: 'double',
    unit: 'm',
    doc: 'Distance of the plane from the origin of the root link, along the normal. The tool must stay beyond it.',
  },
  'safety.allow_shared_outputs': {
    type: 'bool',
    default: false,
    doc: 'Command although other nodes publish on the command topics, such as a teleoperation node behind a mux that decides who moves the robot; false = do not activate, and stop.',
  },
  'sync.max_skew': {
    type: 'double',
    default: 0.05,
    unit: 's',
    min: 0,
    max: 3600,
    doc: 'Largest difference between the stamps of the inputs of one observation.',
  },
  'image.min_size': {
    type: 'integer',
    default: 32n,
    unit: 'pixels',
    min: 1,
    max: ENGINE_LIMITS.maxImageSide,
    doc: 'Images with a shorter side are refused.',
  },
  'image.max_size': {
    type: 'integer',
    default: 8192n,
    unit: 'pixels',
    min: 1,
    max: ENGINE_LIMITS.maxImageSide,
    doc: 'Images with a longer side are refused.',
  },
  'cameras.names': {
    type: 'string_array',
    members: 'cameras.<camera>.',
    doc: 'Names of the cameras, which you choose.',
  },
  'cameras.<camera>.topic': { type: 'string', nonEmpty: true, doc: 'Image topic.' },
  'cameras.<camera>.transport': {
    type: 'string',
    default: 'raw',
    choices: ['raw', 'compressed'],
    doc: 'raw = sensor_msgs/Image; compressed = sensor_msgs/CompressedImage.',
  },
  'cameras.<camera>.slot': {
    type: 'string',
    choices: IMAGE_SLOTS,
    doc: "The model's image slot that this camera fills.",
  },
  'cameras.<camera>.rotate': {
    type: 'integer',
    default: 0n,
    unit: 'degrees',
    choices: [0n, 180n],
    doc: 'Rotation of the image before inference: 180 for a camera that is mounted upside down.',
  },
  'cameras.<camera>.max_age': {
    type: 'double',
    default: 0.2,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'Age of the newest message above which the stream is stale and not used.',
  },
  'cameras.<camera>.zero_stamp': {
    type: 'string',
    default: 'refuse',
    choices: ['refuse', 'arrival'],
    doc: 'For drivers that never set the stamp: refuse = a stamp of 0 is too old; arrival = the time of arrival takes its place, in a bag the time of recording. In real time an image is read, and so arrives, up to one control period after it was published. Its age and skew are then larger than they look, and CAMERA_FROZEN cannot be detected.',
  },
  'cameras.<camera>.max_still': {
    type: 'double',
    default: 0,
    unit: 's',
    min: 0,
    max: 3600,
    doc: 'Time for which all pixels may stay exactly the same under new stamps; longer means that the camera hangs (CAMERA_STILL). 0 = not checked. Not for rendered images, which have no noise.',
  },
  'state.mode': {
    type: 'string',
    default: 'joints',
    choices: ['joints', 'none'],
    doc: 'joints = the state is part of the prompt; none = for checkpoints without the state in their prompt.',
  },
  'state.topic': {
    type: 'string',
    default: 'joint_states',
    nonEmpty: true,
    doc: 'sensor_msgs/JointState topic. A message may have any of the joints; the newest value of each counts.',
  },
  'state.max_age': {
    type: 'double',
    default: 0.1,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'Age above which the newest value of a joint is stale and not used.',
  },
  'state.zero_stamp': {
    type: 'string',
    default: 'refuse',
    choices: ['refuse', 'arrival'],
    doc: 'As cameras.<camera>.zero_stamp, for joint states.',
  },
  'state.joints': {
    type: 'string_array',
    default: [],
    members: 'state.<joint>.',
    doc: "Joints of the state vector, in the model's order, with their names in the message.",
  },
  'state.<joint>.topic': {
    type: 'string',
    optional: true,
    nonEmpty: true,
    doc: 'Topic of this joint, such as that of a gripper with a driver of its own; absent = state.topic.',
  },
  'state.<joint>.max_age': {
    type: 'double',
    optional: true,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'As state.max_age, for this joint. A joint with one may also be older than the other inputs of an observation by this age, whatever sync.max_skew is; absent = state.max_age.',
  },
  'state.<joint>.source': {
    type: 'string',
    default: 'position',
    choices: ['position', 'velocity', 'effort', 'data'],
    doc: 'Field of the JointState that is read; data = state.<joint>.topic is a std_msgs/Float64 with the position of this joint, such as the width of a gripper. It has no stamp: the time of arrival counts, in a bag the time of recording.',
  },
  'state.<joint>.transform': {
    type: 'string',
    default: 'none',
    choices: TRANSFORMS,
    doc: "Applied to the message's value first; interbotix_gripper = position of a finger (m) to angle of its motor (rad).",
  },
  'state.<joint>.scale': {
    type: 'double',
    default: 1,
    unit: "joint's own",
    nonZero: true,
    doc: 'Model value = (transformed message value − offset) / scale.',
  },
  'state.<joint>.offset': {
    type: 'double',
    default: 0,
    unit: "joint's own",
    doc: 'See scale.',
  },
  'state.<joint>.lower': {
    type: 'double',
    optional: true,
    unit: "joint's own",
    doc: 'Lowest possible reading, with a margin, in the units of the message; lower readings are refused. Absent = every finite reading is used.',
  },
  'state.<joint>.upper': {
    type: 'double',
    optional: true,
    unit: "joint's own",
    doc: 'Highest possible reading, with a margin, in the units of the message; higher readings are refused. Absent = every finite reading is used.',
  },
  'action.joints': {
    type: 'string_array',
    members: 'action.<joint>.',
    doc: "Joints of the action vector, in the model's order.",
  },
  'action.bound': {
    type: 'string',
    default: 'none',
    choices: ['none', 'clip', 'scale'],
    doc: 'Model values of the velocity joints beyond ±1: none = not limited; clip = each is clipped; scale = all are scaled down together.',
  },
  'action.limits': {
    type: 'string',
    default: 'finite',
    choices: ['finite', 'none'],
    doc: 'finite = every action joint must have position, velocity and acceleration limits, from these parameters or the robot description; none = limits may be absent, and LIMITS_NONE is reported for as long as the node runs.',
  },
  'action.<joint>.joint': {
    type: 'bool',
    default: true,
    doc: 'false = the command is not a joint of the robot, such as a Cartesian delta or a gripper command in other units; lower and upper then limit the value that is sent.',
  },
  'action.<joint>.kind': {
    type: 'string',
    choices: ['position', 'delta', 'velocity'],
    doc: "position = absolute; delta = added to the joint's state in the observation; velocity = 0 stops.",
  },
  'action.<joint>.transform': {
    type: 'string',
    default: 'none',
    choices: TRANSFORMS,
    doc: "Applied to the robot's value last, the inverse of the state's transform; interbotix_gripper = angle of the motor (rad) to position of a finger (m).",
  },
  'action.<joint>.scale': {
    type: 'double',
    default: 1,
    unit: "joint's own",
    nonZero: true,
    doc: 'Robot value = model value × scale + offset, before its transform.',
  },
  'action.<joint>.offset': {
    type: 'double',
    default: 0,
    unit: "joint's own",
    doc: 'See scale.',
  },
  'action.<joint>.gripper': {
    type: 'bool',
    default: false,
    doc: 'The stop action keeps its last command.',
  },
  'action.<joint>.binarize': {
    type: 'double',
    optional: true,
    doc: 'Model values above this become 1 and others 0; absent = not changed.',
  },
  'action.<joint>.lower': {
    type: 'double',
    optional: true,
    unit: 'rad or m',
    doc: 'Lowest position of a command. Absent = the limit of the robot description.',
  },
  'action.<joint>.upper': {
    type: 'double',
    optional: true,
    unit: 'rad or m',
    doc: 'Highest position of a command. Absent = the limit of the robot description.',
  },
  'action.<joint>.max_velocity': {
    type: 'double',
    optional: true,
    unit: 'rad/s or m/s',
    above: 0,
    doc: 'Largest speed of a command. Absent = the limit of the robot description.',
  },
  'action.<joint>.max_acceleration': {
    type: 'double',
    optional: true,
    unit: 'rad/s² or m/s²',
    above: 0,
    doc: 'Largest acceleration of a command. A robot description has none, so it must be given.',
  },
  robot_description_topic: {
    type: 'string',
    default: '',
    doc: 'std_msgs/String topic (transient local) with the URDF of the robot, such as robot_description; its position and velocity limits apply where they are stricter than the parameters. Empty = not used.',
  },
  robot_description_file: {
    type: 'string',
    default: '',
    doc: 'The same from a file. Only one of the two can be given. Empty = not used.',
  },
  robot_description_timeout: {
    type: 'double',
    default: 10,
    unit: 's',
    above: 0,
    max: 3600,
    doc: 'Time that the node waits for the robot description while it is configured.',
  },
  'action.<joint>.max_following_error': {
    type: 'double',
    optional: true,
    unit: 'rad or m',
    above: 0,
    doc: 'As safety.max_following_error, for this joint; absent = the value given there.',
  },
  'outputs.names': {
    type: 'string_array',
    default: [],
    members: 'outputs.<output>.',
    doc: 'Names of the command topics, which you choose; none = only chunks are published.',
  },
  'outputs.<output>.topic': { type: 'string', nonEmpty: true, doc: 'Command topic.' },
  'outputs.<output>.type': {
    type: 'string',
    choices: ['joint_trajectory', 'joint_trajectory_chunk', 'float64_multi_array', 'float64'],
    doc: "joint_trajectory = trajectory_msgs/JointTrajectory with positions, velocities are integrated; joint_trajectory_chunk = the same with all positions that follow, sent once for each accepted chunk; float64_multi_array = std_msgs/Float64MultiArray with each joint's own kind; float64 = std_msgs/Float64 of one joint, such as a gripper.",
  },
  'outputs.<output>.stamp': {
    type: 'string',
    default: 'zero',
    choices: ['zero', 'now', 'observation'],
    doc: 'Header stamp of a message that has one: zero = 0, the controller begins when it receives the message; now = the time of the control tick; observation = the stamp of the observation, with time_from_start counted from there. With a stamp other than 0, a joint_trajectory_controller rejects a trajectory that ends in the past of its clock, and reports it only in its log. The stop action always has 0.',
  },
  'outputs.<output>.joints': {
    type: 'string_array',
    doc: 'The action joints that are sent, in the order of the message.',
  },
  chunk_topic: {
    type: 'string',
    default: '~/chunk',
    nonEmpty: true,
    doc: 'trajectory_msgs/JointTrajectory topic for complete chunks.',
  },
} as const satisfies Readonly<Record<string, Declaration>>;

export type Schema = typeof SCHEMA;
/** A parameter's name with `<camera>`, `<joint>` or `<output>` in place of the actual name. */
export type Pattern = keyof Schema;

interface Types {
  bool: boolean;
  integer: bigint;
  double: number;
  string: string;
  double_array: readonly number[];
  string_array: readonly string[];
}

/** The type of a checked parameter. */
export type Value<P extends Pattern> =
  | (Schema[P] extends { choices: readonly (infer Choice)[] } ? Choice : Types[Schema[P]['type']])
  | (Schema[P] extends { optional: true } ? undefined : never);

/** One parameter with its full name. */
export interface Parameter {
  readonly name: string;
  readonly pattern: Pattern;
  readonly declaration: Declaration;
}

const PATTERNS = Object.keys(SCHEMA) as Pattern[];

/** The full name of the parameter for one camera, joint or output. */
export function parameterName(pattern: Pattern, member?: string): string {
  return member === undefined ? pattern : pattern.replace(/<\w+>/, () => member);
}

/** All parameters, for the cameras, joints and outputs that `flat` (parameter values by full name) lists. */
export function allParameters(flat: ReadonlyMap<string, unknown>): Parameter[] {
  return PATTERNS.flatMap((pattern) => {
    const declaration: Declaration = SCHEMA[pattern];
    const list = PATTERNS.find((other) => {
      const { members }: Declaration = SCHEMA[other];
      return members !== undefined && pattern.startsWith(members);
    });
    if (list === undefined) return [{ name: pattern, pattern, declaration }];
    return listedNames(flat, list).map((member) => ({ name: parameterName(pattern, member), pattern, declaration }));
  });
}

/** The names in a list parameter or its default, each once; none where it is not a list of strings. */
function listedNames(flat: ReadonlyMap<string, unknown>, list: Pattern): readonly string[] {
  const declaration: Declaration = SCHEMA[list];
  const value = flat.get(list) ?? declaration.default;
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) return [];
  return [...new Set(value)].filter((name) => name !== '');
}
