import type { PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import type { LifecycleNode, LifecyclePublisher } from './rcl.js';

const TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory';
const ARRAY = 'std_msgs/msg/Float64MultiArray';
/** How long the stop action may take to reach everybody, ns. */
const FLUSH_TIMEOUT = 500_000_000n;

export interface RosTime {
  readonly sec: number;
  readonly nanosec: number;
}

/** `builtin_interfaces/Time` (or Duration) of ns. */
export function toRosTime(nanoseconds: bigint): RosTime {
  return { sec: Number(nanoseconds / 1_000_000_000n), nanosec: Number(nanoseconds % 1_000_000_000n) };
}

interface Point {
  positions: Float64Array;
  velocities: Float64Array;
  accelerations: Float64Array;
  effort: Float64Array;
  time_from_start: RosTime;
}

interface Trajectory {
  header: { stamp: RosTime; frame_id: string };
  joint_names: readonly string[];
  points: Point[];
}

const NONE = () => new Float64Array(0);

function trajectory(stamp: bigint, joints: readonly string[], points: Point[]): Trajectory {
  return { header: { stamp: toRosTime(stamp), frame_id: '' }, joint_names: joints, points };
}

function point(time: bigint, positions: Float64Array, velocities: Float64Array): Point {
  return { positions, velocities, accelerations: NONE(), effort: NONE(), time_from_start: toRosTime(time) };
}

/**
 * A whole chunk: header stamp = the observation's time; row i applies from i periods after that. Velocity joints have
 * velocities and the others positions; where a chunk has both kinds, NaN stands where a joint has no such value.
 * `velocity` says which of the chunk's joints are velocities.
 */
export function chunkMessage(chunk: ActionChunk, velocity: readonly boolean[]): Trajectory {
  const columns = chunk.joints.length;
  const pick = (row: number, wanted: boolean): Float64Array => {
    if (!velocity.includes(wanted)) return NONE();
    const values = chunk.values.slice(row * columns, (row + 1) * columns);
    return values.map((value, column) => (velocity[column] === wanted ? value : NaN));
  };
  const points = Array.from({ length: chunk.rows }, (_, row) =>
    point(BigInt(Math.round(row * chunk.period * 1e9)), pick(row, false), pick(row, true)),
  );
  return trajectory(chunk.stamp, chunk.joints, points);
}

/** The publishers of chunks and commands; silent unless activated. */
export class Publishers {
  readonly #chunk: LifecyclePublisher;
  readonly #outputs: { publisher: LifecyclePublisher; message: (command: Command) => object }[];
  readonly #velocity: readonly boolean[];

  constructor(
    private readonly node: LifecycleNode,
    config: PolicyConfig,
    /** ns that a position command takes to be reached. */
    period: bigint,
  ) {
    const names = config.action.joints.map(({ name }) => name);
    this.#velocity = config.action.joints.map(({ kind }) => kind === 'velocity');
    this.#chunk = node.createLifecyclePublisher(TRAJECTORY, config.chunkTopic);
    this.#outputs = config.outputs.map(({ topic, type, joints }) => {
      const columns = joints.map((joint) => names.indexOf(joint));
      const pick = (command: Command) => Float64Array.from(columns, (column) => command.values[column] ?? NaN);
      return type === 'positions'
        ? {
            publisher: node.createLifecyclePublisher(TRAJECTORY, topic),
            message: (command: Command) => trajectory(command.time, joints, [point(period, pick(command), NONE())]),
          }
        : {
            publisher: node.createLifecyclePublisher(ARRAY, topic),
            message: (command: Command) => ({ layout: { dim: [], data_offset: 0 }, data: pick(command) }),
          };
    });
  }

  get #all(): LifecyclePublisher[] {
    return [this.#chunk, ...this.#outputs.map(({ publisher }) => publisher)];
  }

  activate(): void {
    for (const publisher of this.#all) publisher.activate();
  }

  deactivate(): void {
    for (const publisher of this.#all) publisher.deactivate();
  }

  chunk(chunk: ActionChunk): void {
    this.#chunk.publish(chunkMessage(chunk, this.#velocity));
  }

  command(command: Command): void {
    for (const { publisher, message } of this.#outputs) publisher.publish(message(command));
  }

  /** Waits, blocking for at most half a second a topic, until the commands reached everybody who listens reliably. */
  flush(): void {
    for (const { publisher } of this.#outputs) publisher.waitForAllAcked(FLUSH_TIMEOUT);
  }

  destroy(): void {
    for (const publisher of this.#all) this.node.destroyPublisher(publisher);
  }
}
