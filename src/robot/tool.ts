import type { PolicyConfig, ToolConfig } from '../config/config.js';
import { Pi05Error } from '../errors.js';
import { Kinematics } from './kinematics.js';
import type { RobotModel, Vector } from './urdf.js';

/** Rounding of positions, m, and of speeds, m/s. */
const ROUNDING = 1e-6;

/** A limit that the tool must stay within. */
interface Boundary {
  /** How far outside a position is, m; negative inside. */
  readonly depth: (position: Vector) => number;
  /** `safety.workspace.upper z 0.8` or `safety.keep_out_planes.table`. */
  readonly name: string;
}

/**
 * The limits of the tool. A tool that is outside may stay where it is and move back: only what takes it out, or further out,
 * violates a limit. So a robot that was moved out by hand is not stuck.
 */
export class ToolLimits {
  readonly #kinematics: Kinematics;
  /** Index of each joint of the kinematics in the action. */
  readonly #indices: readonly number[];
  readonly #boundaries: readonly Boundary[];
  readonly #link: string;
  readonly #maxSpeed: number;
  readonly #tolerance: number;

  /**
   * @param tolerance m that a position may be outside, and m/s that it may be too fast.
   * @throws Pi05Error ROBOT_DESCRIPTION_LINK, ROBOT_DESCRIPTION_JOINT where a joint that moves the tool is not commanded.
   */
  constructor({ tool, action }: Pick<PolicyConfig, 'tool' | 'action'>, model: RobotModel, tolerance = ROUNDING) {
    this.#tolerance = tolerance;
    this.#kinematics = new Kinematics(model, tool.link);
    this.#indices = this.#kinematics.joints.map((name) => {
      const index = action.joints.findIndex((joint) => joint.name === name && joint.isJoint);
      if (index >= 0) return index;
      const sentence = `Expected the joints above ${tool.link} in ${model.source} among action.joints, received none for ${name}`;
      throw new Pi05Error('ROBOT_DESCRIPTION_JOINT', sentence, model.source);
    });
    this.#boundaries = boundaries(tool);
    this.#link = tool.link;
    this.#maxSpeed = tool.maxSpeed ?? Infinity;
  }

  /** Position of the tool, m. @param positions [action joints]. @returns undefined where a joint's is not known (NaN). */
  position(positions: ArrayLike<number>): Vector | undefined {
    const values = this.#indices.map((index) => positions[index]!);
    return values.every(Number.isFinite) ? this.#kinematics.pose(values).position : undefined;
  }

  /** Which limit a motion from `before` to `after` [action joints] violates: the end of a sentence; undefined where it violates none. */
  violation(before: ArrayLike<number>, after: ArrayLike<number>): string | undefined {
    const to = this.position(after);
    if (to === undefined) return undefined;
    const from = this.position(before);
    for (const { depth, name } of this.#boundaries) {
      const outside = depth(to);
      if (outside <= this.#tolerance + Math.max(0, from === undefined ? 0 : depth(from))) continue;
      return `${this.#link} within ${name}, received [${to.map((value) => value.toFixed(3)).join(', ')}] m, ${outside.toFixed(3)} m outside`;
    }
    return undefined;
  }

  /** As for `violation`, of the speed of a motion that takes `seconds`. */
  speeding(before: ArrayLike<number>, after: ArrayLike<number>, seconds: number): string | undefined {
    const [from, to] = [this.position(before), this.position(after)];
    if (from === undefined || to === undefined) return undefined;
    const speed = Math.hypot(to[0] - from[0], to[1] - from[1], to[2] - from[2]) / seconds;
    if (speed <= this.#maxSpeed + this.#tolerance) return undefined;
    return `${this.#link} at most ${this.#maxSpeed} m/s fast, received ${speed.toFixed(3)} m/s`;
  }
}

function boundaries({ lower, upper, planes }: ToolConfig): Boundary[] {
  const axes = [0, 1, 2] as const;
  const axisName = (axis: number): string => 'xyz'.charAt(axis);
  return [
    ...axes.flatMap((axis) => {
      const limit = lower?.[axis];
      if (limit === undefined) return [];
      return { name: `safety.workspace.lower ${axisName(axis)} ${limit}`, depth: (at: Vector) => limit - at[axis] };
    }),
    ...axes.flatMap((axis) => {
      const limit = upper?.[axis];
      if (limit === undefined) return [];
      return { name: `safety.workspace.upper ${axisName(axis)} ${limit}`, depth: (at: Vector) => at[axis] - limit };
    }),
    ...planes.map(({ name, normal, offset }) => {
      const [x = 0, y = 0, z = 0] = normal;
      const length = Math.hypot(x, y, z);
      const depth = (at: Vector): number => offset - (x * at[0] + y * at[1] + z * at[2]) / length;
      return { name: `safety.keep_out_planes.${name}`, depth };
    }),
  ];
}
