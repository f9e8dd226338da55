import type { PolicyConfig } from '../config/config.js';
import type { ToolGuard } from '../schedule/tool-guard.js';
import { RunningTrajectory, trajectoryJoints } from '../schedule/trajectory.js';
import type { LimitCheck } from './limit-check.js';
import type { Cause } from './protocol.js';

/**
 * Checks the trajectories of outputs of type `joint_trajectory_chunk`. A trajectory moves the robot without further commands, so
 * every row has to pass the checks of a command, and every later command has to be its row until another one replaces it.
 */
export class TrajectoryCheck {
  readonly #joints: readonly number[];
  readonly #running: RunningTrajectory;

  constructor(config: PolicyConfig) {
    this.#joints = trajectoryJoints(config);
    this.#running = new RunningTrajectory(this.#joints);
  }

  /** Call this when the robot is stopped. */
  reset(): void {
    this.#running.end();
  }

  /**
   * Checks a command that has passed the other checks.
   * @param following the rows after `values` of a new trajectory; null where the one before goes on.
   * @param limits @param tool that have remembered the command. @param positions [action joints] measured; undefined where unknown.
   */
  check(
    values: Float64Array,
    following: readonly Float64Array[] | null,
    limits: LimitCheck,
    tool: ToolGuard | undefined,
    positions: Float64Array | undefined,
  ): Cause | undefined {
    if (this.#joints.length === 0) {
      if (following === null) return undefined;
      return { code: 'COMMAND_LIMIT', message: 'Expected no trajectory without an output for it, received one' };
    }
    if (following === null) {
      if (this.#running.continuesWith(values)) return undefined;
      return {
        code: 'COMMAND_LIMIT',
        message: 'Expected a command that is the next row of its trajectory, received another',
      };
    }
    const problem = limits.checkFollowing(following, this.#joints);
    if (problem !== undefined) return { code: 'COMMAND_LIMIT', message: problem };
    this.#running.start([values, ...following]);
    return tool?.checkFollowing(following, positions);
  }
}
