import { type ActionJoint, commandQuantity, type PolicyConfig } from '../config/config.js';
import { type FaultCode, Pi05Error } from '../errors.js';
import type { ActionChunk, Command } from '../frame/frame.js';
import { ToolLimits } from '../robot/tool.js';
import type { RobotModel } from '../robot/urdf.js';
import { type JointMotion, limitPosition, limitVelocity } from './limits.js';
import { MODES } from './modes/modes.js';

/** Where the steps of a chunk must end. */
export interface ChunkEnd {
  /** Number of steps before the first that violates a limit. */
  readonly rows: number;
  readonly fault: Pi05Error<FaultCode>;
}

/**
 * Keeps the tool within its limits (`safety.tool_link`): refuses the steps of a chunk that violate them before the chunk is
 * executed, and checks every command once more.
 *
 * A chunk is cut at its first bad step instead of being refused whole: its last steps are often never executed, because the
 * next chunk replaces them, so a policy that works close to a limit would otherwise stand still. What is left always ends
 * inside, because a step is bad already where the arm, braking from it at `max_acceleration`, would come to rest outside.
 */
export class ToolGuard {
  readonly #limits: ToolLimits;
  readonly #joints: readonly ActionJoint[];
  /** Seconds between ticks. */
  readonly #period: number;
  /** Steps of a chunk that may be executed. */
  readonly #maxSteps: number;
  /** [action joints] the motion of the last command; undefined after a stop. */
  #last: readonly JointMotion[] | undefined;

  /** @param tolerance as for `ToolLimits`. @throws Pi05Error as for `ToolLimits`. */
  constructor(config: PolicyConfig, model: RobotModel, tolerance?: number) {
    this.#limits = new ToolLimits(config, model, tolerance);
    this.#joints = config.action.joints;
    this.#period = 1 / config.controlRate;
    const { mode, replanSteps } = config.schedule;
    this.#maxSteps = MODES[mode].executesDuringInference ? Infinity : replanSteps;
  }

  /**
   * Executes the steps of a chunk in advance, within the limits of the joints, from the last command or the measured positions.
   * @param firstRow the step that is executed next. @param measured [action joints], NaN where unknown.
   * @returns undefined where no step violates a limit.
   */
  checkChunk(
    { values, rows }: ActionChunk,
    firstRow: number,
    measured: Float64Array | undefined,
  ): ChunkEnd | undefined {
    const columns = this.#joints.length;
    let motion = this.#start(measured);
    for (let row = firstRow; row < Math.min(rows, this.#maxSteps); row++) {
      const wanted = values.subarray(row * columns, (row + 1) * columns);
      const next = motion.map((last, j) => this.#next(wanted[j]!, this.#joints[j]!, last));
      const problem = this.#problem(motion, next);
      if (problem !== undefined) {
        const sentence = `Expected ${problem}, in step ${row} of a chunk; the steps from there are not executed`;
        return { rows: row, fault: new Pi05Error('WORKSPACE', sentence, 'safety.tool_link') };
      }
      motion = next;
    }
    return undefined;
  }

  /**
   * Checks a command that is about to be sent, and remembers it.
   * @returns the reason why the robot must be stopped instead.
   */
  checkCommand({ reason, values }: Command, measured: Float64Array | undefined): Pi05Error<FaultCode> | undefined {
    if (reason === 'stop') {
      this.reset();
      return undefined;
    }
    const before = this.#start(measured);
    const next = this.#execute(values, before);
    const problem = this.#problem(before, next);
    this.#last = problem === undefined ? next : undefined;
    if (problem === undefined) return undefined;
    return new Pi05Error('WORKSPACE', `Expected ${problem}; stopped`, 'safety.tool_link');
  }

  /** Checks the commands that follow the one that was checked last, without remembering them. @param rows as `Command.following`. */
  checkFollowing(rows: readonly Float64Array[], measured: Float64Array | undefined): Pi05Error<FaultCode> | undefined {
    let motion = this.#start(measured);
    for (const values of rows) {
      const next = this.#execute(values, motion);
      const problem = this.#problem(motion, next);
      if (problem !== undefined) {
        return new Pi05Error('WORKSPACE', `Expected ${problem}, in a trajectory; stopped`, 'safety.tool_link');
      }
      motion = next;
    }
    return undefined;
  }

  /** Call this when the robot is stopped: the next motion starts where it is measured. */
  reset(): void {
    this.#last = undefined;
  }

  /** The last command of joints whose commands are positions, and where the others were measured. */
  #start(measured: Float64Array | undefined): JointMotion[] {
    return this.#joints.map((joint, j): JointMotion => {
      const last = this.#last?.[j];
      const position = measured?.[j] ?? NaN;
      if (last === undefined) return { position, velocity: 0 };
      return commandQuantity(joint) === 'velocity' ? { position, velocity: last.velocity } : last;
    });
  }

  /** The motion after a command, whose values are within the limits of the joints. */
  #execute(values: Float64Array, before: readonly JointMotion[]): JointMotion[] {
    return before.map((last, j) => {
      const value = values[j]!;
      if (commandQuantity(this.#joints[j]!) === 'velocity') {
        return { position: last.position + value * this.#period, velocity: value };
      }
      const velocity = Number.isNaN(last.position) ? 0 : (value - last.position) / this.#period;
      return { position: value, velocity };
    });
  }

  #next(wanted: number, joint: ActionJoint, last: JointMotion): JointMotion {
    if (joint.kind === 'velocity') {
      const velocity = limitVelocity(wanted, joint, last, this.#period);
      return { position: last.position + velocity * this.#period, velocity };
    }
    // Without a measured position the first command is where the motion starts.
    if (Number.isNaN(last.position)) return { position: wanted, velocity: 0 };
    const position = limitPosition(wanted, joint, last, this.#period);
    return { position, velocity: (position - last.position) / this.#period };
  }

  #problem(before: readonly JointMotion[], after: readonly JointMotion[]): string | undefined {
    const from = before.map(({ position }) => position);
    const to = after.map(({ position }) => position);
    const atRest = after.map(({ position, velocity }, j) => {
      const { maxAcceleration } = this.#joints[j]!;
      return position + (velocity * Math.abs(velocity)) / (2 * maxAcceleration);
    });
    return (
      this.#limits.violation(from, to) ??
      this.#limits.violation(from, atRest) ??
      this.#limits.speeding(from, to, this.#period)
    );
  }
}

/**
 * @param model undefined where there is no URDF. @param tolerance as for `ToolLimits`.
 * @returns undefined where the tool is not limited. @throws Pi05Error ROBOT_DESCRIPTION_MISSING where it is, without a URDF.
 */
export function createToolGuard(
  config: PolicyConfig,
  model: RobotModel | undefined,
  tolerance?: number,
): ToolGuard | undefined {
  const { link } = config.tool;
  if (link === '') return undefined;
  if (model !== undefined) return new ToolGuard(config, model, tolerance);
  const source = config.robotDescription.topic;
  const sentence = `Expected a URDF for safety.tool_link (${link}), received none from ${source}; robot_description_file gives one`;
  throw new Pi05Error('ROBOT_DESCRIPTION_MISSING', sentence, source);
}

/** The first steps of a chunk. */
export function firstRows(chunk: ActionChunk, rows: number): ActionChunk {
  return { ...chunk, rows, values: chunk.values.slice(0, rows * chunk.joints.length) };
}
