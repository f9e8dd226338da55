import { continuePlan, type ExecutionMode } from './mode.js';

/**
 * Real-time chunking for checkpoints that were trained with known first steps: the steps that are executed during the inference
 * are given to the model, up to the largest number it was trained with.
 */
export const rtcTrained: ExecutionMode = {
  executesDuringInference: true,
  condition: ({ delay, trainedMaxDelay }) => {
    const known = Math.min(delay, trainedMaxDelay);
    return known === 0 ? undefined : { mode: 'trained', delay: known };
  },
  merge: continuePlan,
};
