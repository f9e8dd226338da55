import type { ActionJoint } from '../config/config.js';
import { type FaultCode, Pi05Error } from '../errors.js';
import type { ActionChunk } from '../frame/frame.js';
import { formatSeconds, toSeconds } from '../time.js';
import { clamp } from './limits.js';

type Fault = Pi05Error<FaultCode>;

/** @returns undefined where every action is finite. */
export function chunkNotFinite({ joints, values }: ActionChunk): Fault | undefined {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return undefined;
  const where = `${joints[bad % joints.length]} in step ${Math.floor(bad / joints.length)}`;
  return new Pi05Error('CHUNK_NOT_FINITE', `Expected finite actions, received ${values[bad]} for ${where}`, 'engine');
}

/** @param steps time of the steps up to the next request, ns. @param latency of the inference, ns. @param allowed age, ns. */
export function chunkAgeLimit(steps: bigint, latency: bigint, allowed: bigint): Fault {
  const sentence =
    `Expected schedule.replan_steps (${formatSeconds(steps)} s) and the latency (${formatSeconds(latency)} s) to take at most ` +
    `schedule.max_chunk_age (${formatSeconds(allowed)} s), received ${formatSeconds(steps + latency)} s; older steps are not executed`;
  return new Pi05Error('CHUNK_AGE_LIMIT', sentence, 'engine');
}

/** @param trained the largest delay that the checkpoint was trained with, steps. @param beyond so many more. @param delay ns. */
export function untrainedDelay(trained: number, beyond: number, delay: bigint): Fault {
  const sentence =
    `Expected a delay of at most ${trained} steps, which the checkpoint was trained with, received ` +
    `${formatSeconds(delay)} s, which is ${trained + beyond}; the steps from there may not agree with the plan`;
  return new Pi05Error('RTC_DELAY', sentence, 'engine');
}

/** @param age of the observation, ns. @param allowed ns. */
export function chunkStale(age: bigint, allowed: bigint): Fault {
  const received = `received one ${formatSeconds(age)} s old; holding`;
  const sentence = `Expected steps of an observation at most ${formatSeconds(allowed)} s old, ${received}`;
  return new Pi05Error('CHUNK_STALE', sentence, 'engine');
}

/** @param steps of the plan, all of which were executed. */
export function commandStarved(steps: number): Fault {
  const sentence = `Expected a chunk before the last one's ${steps} steps ran out, received none; holding`;
  return new Pi05Error('COMMAND_STARVED', sentence, 'engine');
}

/** @param held time of the holds, ns. @param timeout of the engine, ns. */
export function heldTooLong(held: bigint, timeout: bigint): Fault {
  const received = `received none in ${formatSeconds(held)} s of holding; stopped`;
  return new Pi05Error('COMMAND_STARVED', `Expected a chunk within ${toSeconds(timeout)} s, ${received}`, 'engine');
}

/** The inference for the steps after the plan has failed. */
export function planEnded(): Fault {
  const sentence = 'Expected a chunk before the plan ended, received none because the inference failed; stopped';
  return new Pi05Error('COMMAND_STARVED', sentence, 'engine');
}

/**
 * COMMAND_JUMP for a position further from the measured one than one period at full speed. Grippers are exempt.
 * @param row @param measured [action joints]. @param period s.
 */
export function firstCommandJump(
  joints: readonly ActionJoint[],
  row: Float64Array,
  measured: Float64Array,
  period: number,
): Fault | undefined {
  for (const [j, { name, kind, gripper, lower, upper, maxVelocity }] of joints.entries()) {
    if (kind === 'velocity' || gripper) continue;
    const target = clamp(row[j]!, lower, upper);
    const reach = maxVelocity * period;
    if (Math.abs(target - measured[j]!) > reach * (1 + 1e-9)) {
      const sentence = `Expected a first command within ${reach} of ${measured[j]} for ${name}, received ${target}; not executed`;
      return new Pi05Error('COMMAND_JUMP', sentence, name);
    }
  }
  return undefined;
}
