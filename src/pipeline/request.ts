import type { InferRequest, RtcRequest } from '../engine/engine.js';
import type { Observation } from '../frame/frame.js';
import type { Schedule } from '../schedule/schedule.js';
import type { PolicyLike } from './interfaces.js';

/**
 * What the engine computes the chunk of an observation from.
 * @param flowSteps 0 = the checkpoint's own number. @throws as `PolicyLike.prepare`.
 */
export function inferRequest(
  policy: PolicyLike,
  schedule: Schedule,
  observation: Observation,
  flowSteps: number,
): InferRequest {
  const rtc = rtcRequest(policy, schedule, observation);
  return {
    ...policy.prepare(observation),
    ...(flowSteps > 0 ? { steps: flowSteps } : {}),
    ...(rtc === undefined ? {} : { rtc }),
  };
}

/** The rest of the plan, with which the chunk is to agree; undefined where there is none or the mode does not use it. */
function rtcRequest(policy: PolicyLike, schedule: Schedule, observation: Observation): RtcRequest | undefined {
  const continuation = schedule.continuation(observation.stamp);
  if (continuation === undefined) return undefined;
  const { chunk, firstRow, conditioning } = continuation;
  const previous = policy.previousActions(chunk, firstRow, observation);
  return { ...conditioning, previous, previousRows: chunk.rows - firstRow };
}
