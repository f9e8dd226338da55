import { type ExecutionMode, replacePlan } from './mode.js';

/** Infers while the plan is executed, then continues with the new chunk. */
export const async: ExecutionMode = {
  executesDuringInference: true,
  merge: replacePlan,
};
