import type { PolicyConfig, ScheduleConfig } from '../../config/config.js';
import type { ActionChunk } from '../../frame/frame.js';

/** A chunk in execution and the row that is executed next. */
export interface Plan {
  readonly chunk: ActionChunk;
  nextRow: number;
}

/** What a mode makes a plan of. */
export interface MergeInput {
  readonly chunk: ActionChunk;
  /** How many steps were executed since its observation; 0 for the first chunk. */
  readonly executedSteps: number;
  /** How many steps the delay covers that the schedule counts with. */
  readonly delaySteps: number;
  /** The chunks that were merged before and have steps left, oldest first, and the row of each that belongs to the next step. */
  readonly earlier: readonly Plan[];
  /** When the next step is executed, ns. */
  readonly now: bigint;
  /** No prediction counts whose observation is older when it is executed, ns. */
  readonly maxAge: bigint;
  readonly config: PolicyConfig;
}

/** The rest of the plan, when the next chunk is requested. */
export interface Overlap {
  /** The number of its steps. Step 0 belongs to the observation. */
  readonly rows: number;
  /** How many of them will have been executed when the new chunk arrives, as far as known; up to `rows`. */
  readonly delay: number;
  /** The largest delay that the checkpoint was trained with, steps; 0 = none. */
  readonly trainedMaxDelay: number;
}

/** How the engine makes the new chunk agree with the rest of the plan. */
export type Conditioning =
  | {
      readonly mode: 'guided';
      readonly delay: number;
      readonly schedule: ScheduleConfig['rtc']['schedule'];
      /** The step from which the weights are 0. */
      readonly executionHorizon: number;
      readonly maxWeight: number;
    }
  | {
      readonly mode: 'trained';
      /** So many steps of the new chunk are those of the plan, exactly. */
      readonly delay: number;
    };

/**
 * A way to execute chunks (`schedule.mode`): when the next one is requested, what it is made to agree with, and how it is
 * merged. Each is a file of this
 * directory and an entry in `modes.ts`. What holds for all of them is not their subject: limits, ages, stops, and that no chunk
 * from before a reset is merged.
 */
export interface ExecutionMode {
  /**
   * When to request: every mode does after `replan_steps` steps. Whether the rest of the plan is executed during the
   * inference; otherwise the plan ends there.
   */
  readonly executesDuringInference: boolean;
  /** What to freeze or guide with; absent or undefined = the chunk is computed without regard to the plan. */
  readonly condition?: (overlap: Overlap, schedule: ScheduleConfig) => Conditioning | undefined;
  /** How to merge: makes a plan of a new chunk. */
  readonly merge: (input: MergeInput) => Plan;
}

/**
 * Merges by replacing the plan. The steps whose time has passed are skipped, as the previous chunk was executed meanwhile: as
 * many as the delay covers, but not more than were executed.
 */
export function replacePlan({ chunk, executedSteps, delaySteps }: MergeInput): Plan {
  return { chunk, nextRow: Math.min(executedSteps, delaySteps, chunk.rows) };
}

/**
 * Merges by continuing the plan: the next step is the one that follows those executed since the observation, however wrong the
 * delay is. The first steps of the chunk repeat those of the plan, so skipping fewer would execute them twice.
 */
export function continuePlan({ chunk, executedSteps }: MergeInput): Plan {
  return { chunk, nextRow: Math.min(executedSteps, chunk.rows) };
}
