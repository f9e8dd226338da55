import type { PolicyConfig } from '../config/config.js';
import type { Command } from '../frame/frame.js';
import { tickPeriod } from '../time.js';
import type { BlendIn } from './blend-in.js';
import type { Plan } from './modes/mode.js';
import type { Motion } from './motion.js';
import type { Planner } from './planner.js';
import { RunningTrajectory, trajectoryJoints } from './trajectory.js';

/**
 * Adds the commands that follow to a command where joints are sent as trajectories (outputs of type `joint_trajectory_chunk`) and
 * the one that was sent last does not contain it: at a new plan, and when the plan was dropped or has become too old. In
 * lock-step at each tick, because a simulation waits for a message.
 */
export class TrajectoryCommands {
  readonly #joints: readonly number[];
  readonly #running: RunningTrajectory;
  readonly #period: bigint;
  readonly #lockstep: boolean;
  /** The plan of which a trajectory was sent last. */
  #sentPlan: Plan | undefined;

  constructor(
    config: PolicyConfig,
    private readonly planner: Planner,
    private readonly motion: Motion,
    private readonly blendIn: BlendIn,
  ) {
    this.#joints = trajectoryJoints(config);
    this.#running = new RunningTrajectory(this.#joints);
    this.#period = tickPeriod(config.controlRate);
    this.#lockstep = config.schedule.lockstep;
  }

  /** Whether a controller moves the robot by itself. */
  get isRunning(): boolean {
    return this.#running.hasRows && !this.#lockstep;
  }

  /** Call this when the robot is stopped. */
  end(): void {
    this.#running.end();
  }

  /** @param command that `motion` has just computed. @param maxChunkAge of the observation of an executed step, ns. */
  complete(command: Command, maxChunkAge: bigint): Command {
    const { time, reason, values } = command;
    if (this.#joints.length === 0 || reason === 'stop') return command;
    const { plan } = this.planner;
    const isNew = reason === 'step' && plan !== this.#sentPlan;
    if (this.#running.continuesWith(values) && !isNew && !this.#lockstep) return command;
    const rows = reason === 'step' && plan !== undefined ? this.#rowsAfter(time, plan, maxChunkAge) : [];
    const following = this.motion.preview(values, rows, this.#joints);
    this.#running.start([values, ...following]);
    this.#sentPlan = plan;
    return { ...command, following };
  }

  /** The rows of the plan that will be executed after the tick at `now`, up to the age limit of their observation. */
  #rowsAfter(now: bigint, plan: Plan, maxChunkAge: bigint): Float64Array[] {
    const { chunk, nextRow } = plan;
    const allowed = Number((chunk.stamp + maxChunkAge - now) / this.#period);
    const rows = Math.max(0, Math.min(this.planner.endRow(plan) - nextRow, allowed));
    const columns = chunk.joints.length;
    return Array.from({ length: rows }, (_, i) => {
      const row = chunk.values.subarray((nextRow + i) * columns, (nextRow + i + 1) * columns);
      return this.blendIn.apply(now + BigInt(i + 1) * this.#period, row);
    });
  }
}
