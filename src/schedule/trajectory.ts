import type { PolicyConfig } from '../config/config.js';

/** Indices of the action joints that outputs of type `joint_trajectory_chunk` send. */
export function trajectoryJoints({ action, outputs }: Pick<PolicyConfig, 'action' | 'outputs'>): number[] {
  const sent = outputs.filter(({ type }) => type === 'joint_trajectory_chunk').flatMap(({ joints }) => joints);
  return [...action.joints.keys()].filter((j) => sent.includes(action.joints[j]!.name));
}

/**
 * The trajectory that a controller executes by itself: one row for each control tick, of which the last one is held. The
 * policy compares its commands with it, to send another one when they differ, and so does the guard, to know what the robot does.
 */
export class RunningTrajectory {
  #rows: readonly Float64Array[] = [];
  /** The row of the next tick. */
  #next = 0;

  /** @param joints indices of the joints that are sent as trajectories. */
  constructor(private readonly joints: readonly number[]) {}

  /** @param rows [ticks][action joints], from this tick on; kept, not copied. */
  start(rows: readonly Float64Array[]): void {
    this.#rows = rows;
    this.#next = 1;
  }

  /** Whether rows are left. */
  get hasRows(): boolean {
    return this.#next < this.#rows.length;
  }

  /** Call this when the robot is stopped. */
  end(): void {
    this.#rows = [];
  }

  /** Goes on to the next tick. @returns whether its command is what the controller executes. */
  continuesWith(values: Float64Array): boolean {
    const row = this.#rows[Math.min(this.#next, this.#rows.length - 1)];
    this.#next++;
    return row !== undefined && this.joints.every((j) => row[j] === values[j]);
  }
}
