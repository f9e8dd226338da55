import { continuePlan, type ExecutionMode } from './mode.js';

/**
 * Real-time chunking with guidance (Black et al. 2025): the flow steps pull the new chunk towards the rest of the plan, fully
 * where it is executed during the inference and less and less up to `schedule.rtc.horizon`.
 */
export const rtc: ExecutionMode = {
  executesDuringInference: true,
  condition: ({ rows, delay }, { rtc: { schedule, horizon, maxWeight } }) => ({
    mode: 'guided',
    delay,
    schedule,
    executionHorizon: Math.max(horizon ?? rows, delay, 1),
    maxWeight,
  }),
  merge: continuePlan,
};
