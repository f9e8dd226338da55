/** Units of time. Times and durations are nanoseconds as `bigint`; seconds are numbers, for people, parameters and arithmetic. */

/** One second, ns. */
export const SECOND = 1_000_000_000n;

/** `builtin_interfaces/Time` ends here, ns: its seconds are an int32. */
export const END_OF_ROS_TIME = 2n ** 31n * SECOND;

/** A clock that goes back by more than this has jumped, ns; by less it was corrected. */
export const CLOCK_JUMP = 50_000_000n;
/** Simulated time that stands still for longer on the steady clock stops the robot and is a fault, ns. */
export const CLOCK_TIMEOUT = 1_000_000_000n;

/** `builtin_interfaces/Time` or `builtin_interfaces/Duration`. */
export interface RosTime {
  readonly sec: number;
  readonly nanosec: number;
}

/** Rounded to the nearest nanosecond. */
export function toNanoseconds(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1e9));
}

export function toSeconds(nanoseconds: bigint): number {
  return Number(nanoseconds) / 1e9;
}

export function toMilliseconds(nanoseconds: bigint): number {
  return Number(nanoseconds) / 1e6;
}

/** @param nanoseconds 0 or more. */
export function toRosTime(nanoseconds: bigint): RosTime {
  return { sec: Number(nanoseconds / SECOND), nanosec: Number(nanoseconds % SECOND) };
}

export function fromRosTime({ sec, nanosec }: RosTime): bigint {
  return BigInt(sec) * SECOND + BigInt(nanosec);
}

/** The time between two ticks at `rate` Hz, ns. */
export function tickPeriod(rate: number): bigint {
  return BigInt(Math.round(1e9 / rate));
}

/** A duration in seconds with three decimals: `0.250`. */
export function formatSeconds(nanoseconds: bigint): string {
  return toSeconds(nanoseconds).toFixed(3);
}

/** A stamp in seconds with all nine decimals: `1700000000.000000001`. */
export function formatTimestamp(nanoseconds: bigint): string {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const decimals = String(magnitude % SECOND).padStart(9, '0');
  return `${nanoseconds < 0n ? '-' : ''}${magnitude / SECOND}.${decimals}`;
}
