import type { ExecutionMode } from './mode.js';

/** Executes `replan_steps` steps, holds during the inference, and continues with the new chunk. */
export const sync: ExecutionMode = {
  executesDuringInference: false,
  // Nothing was executed while the chunk was computed, so it starts at its first step.
  merge: ({ chunk }) => ({ chunk, nextRow: 0 }),
};
