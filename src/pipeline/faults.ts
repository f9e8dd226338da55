import { errorMessage, type FaultCode, Pi05Error } from '../errors.js';
import { formatSeconds, toMilliseconds } from '../time.js';

type Fault = Pi05Error<FaultCode>;

/** @param error what the engine, the policy or the sink threw. */
export function engineFailed(error: unknown): Fault {
  const lost = error instanceof Pi05Error && error.code === 'DEVICE_LOST';
  const sentence = `Expected a chunk from the engine, received an error (${errorMessage(error)})`;
  return new Pi05Error(lost ? 'DEVICE_LOST' : 'ENGINE_FAILED', sentence, 'engine');
}

/** @param lateness of a control tick, ns. @param allowed ns. */
export function tickLate(lateness: bigint, allowed: bigint): Fault | undefined {
  if (lateness <= allowed) return undefined;
  const [received, expected] = [lateness, allowed].map((ns) => toMilliseconds(ns).toFixed(1));
  const sentence = `Expected a control tick at most ${expected} ms late, received one ${received} ms late`;
  return new Pi05Error('TICK_LATE', sentence, 'tick');
}

/** So many inferences in a row whose prompt changed before their chunk arrived are a fault. */
const PROMPT_CHANGES = 3;

/** @param inferences in a row whose prompt changed before their chunk arrived. */
export function promptChanging(inferences: number): Fault | undefined {
  if (inferences < PROMPT_CHANGES) return undefined;
  const received = `received a new one during each of the last ${inferences} inferences; no motion`;
  return new Pi05Error('PROMPT_CHANGING', `Expected a prompt to stay until its chunk arrives, ${received}`, 'prompt');
}

/** @param step how far the time went back, ns. */
export function clockBackwards(step: bigint): Fault {
  const received = `received one ${formatSeconds(step)} s before the last; inputs and plan are dropped`;
  return new Pi05Error('CLOCK_BACKWARDS', `Expected the time to increase, ${received}`, 'clock');
}
