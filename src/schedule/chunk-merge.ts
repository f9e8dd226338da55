import type { ScheduleConfig } from '../config/config.js';
import type { ActionChunk } from '../frame/frame.js';

/** A chunk in execution and the row that is executed next. */
export interface Plan {
  readonly chunk: ActionChunk;
  nextRow: number;
}

/** Makes a plan of a new chunk. @param passedSteps how many of its steps are in the past, because computing it took time. */
export type MergeStrategy = (chunk: ActionChunk, passedSteps: number) => Plan;

/** By `schedule.mode`. Other ways to merge, such as temporal ensembling, are further entries. */
export const mergeStrategies: Readonly<Record<ScheduleConfig['mode'], MergeStrategy>> = {
  /** Nothing was executed while the chunk was computed, so it starts at its first step. */
  sync: (chunk) => ({ chunk, nextRow: 0 }),
  /** The previous chunk was executed meanwhile, so the steps whose time has passed are skipped. */
  async: (chunk, passedSteps) => ({ chunk, nextRow: Math.min(passedSteps, chunk.rows) }),
};
