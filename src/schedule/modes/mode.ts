import type { ActionChunk } from '../../frame/frame.js';

/** A chunk in execution and the row that is executed next. */
export interface Plan {
  readonly chunk: ActionChunk;
  nextRow: number;
}

/** What a mode makes a plan of. */
export interface MergeInput {
  readonly chunk: ActionChunk;
  /** How many of its steps are in the past, because computing it took time. */
  readonly passedSteps: number;
}

/**
 * A way to execute chunks (`schedule.mode`): when the next one is requested, and how it is merged. Each is a file of this
 * directory and an entry in `modes.ts`. What holds for all of them is not their subject: limits, ages, stops, and that no chunk
 * from before a reset is merged.
 */
export interface ExecutionMode {
  /**
   * When to request: every mode does after `replan_steps` steps. Whether the rest of the plan is executed during the
   * inference; otherwise the plan ends there.
   */
  readonly executesDuringInference: boolean;
  /** How to merge: makes a plan of a new chunk. */
  readonly merge: (input: MergeInput) => Plan;
}

/** Merges by replacing the plan. The steps whose time has passed are skipped, as the previous chunk was executed meanwhile. */
export function replacePlan({ chunk, passedSteps }: MergeInput): Plan {
  return { chunk, nextRow: Math.min(passedSteps, chunk.rows) };
}
