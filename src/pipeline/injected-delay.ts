import type { ScheduleConfig } from '../config/config.js';

/** Of splitmix64 (Steele, Lea and Flood, 2014). */
const MASK = (1n << 64n) - 1n;

/**
 * The time, ns, before which the chunk of an observation at `stamp` does not arrive; 0 = as soon as it is computed. The jitter
 * follows from the stamp, so that it does not depend on what ran before.
 */
export function earliestArrival(stamp: bigint, { injectedDelay, injectedJitter }: ScheduleConfig): bigint {
  if (injectedDelay === 0n && injectedJitter === 0n) return 0n;
  return stamp + injectedDelay + (injectedJitter * (hash(stamp) >> 32n)) / (1n << 32n);
}

function hash(value: bigint): bigint {
  let z = (value + 0x9e3779b97f4a7c15n) & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}
