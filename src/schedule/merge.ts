import type { ScheduleConfig } from '../config/config.js';
import type { ActionChunk } from '../frame/frame.js';

/** What is being executed: a chunk and the row that comes next. */
export interface Plan {
  readonly chunk: ActionChunk;
  next: number;
}

/** How an arriving chunk becomes the plan, given how many of its steps have passed while it was computed. */
export type Merge = (arriving: ActionChunk, passed: number) => Plan;

/** One entry per mode of execution.md that is built; the others (`ensemble`, `rtc`) are further entries. */
export const MERGES: Readonly<Record<ScheduleConfig['mode'], Merge>> = {
  /** Nothing was executed while it was computed: from its first step. */
  sync: (chunk) => ({ chunk, next: 0 }),
  /** Execution went on: without the steps whose time has passed. */
  async: (chunk, passed) => ({ chunk, next: Math.min(passed, chunk.rows) }),
};
