/** Transforms of one row of unnormalised actions, before the conversion to the robot's units (`config/units.ts`). */

/** One per column. */
export type Flags = readonly boolean[];

/**
 * Values above the threshold become 1 and others 0, as in DROID's client for the gripper at 0.5 (openpi,
 * examples/droid/main.py). NaN stays NaN, so that later checks see it. Undefined = the column is not changed.
 */
export function binarize(row: Float64Array, thresholds: readonly (number | undefined)[]): Float64Array {
  return row.map((value, i) => {
    const threshold = thresholds[i];
    if (threshold === undefined || Number.isNaN(value)) return value;
    return value > threshold ? 1 : 0;
  });
}

/**
 * Limits the flagged columns to ±1. `clip` limits each value, as openpi's DROID client does before it calls the robot
 * (`np.clip(action, -1, 1)`, examples/droid/main.py). `scale` divides all flagged values by the largest, as DROID's robot
 * does with velocities that were not clipped (`joint_velocity_to_delta`, droid/robot_ik/robot_ik_solver.py).
 */
export function bound(row: Float64Array, mode: 'none' | 'clip' | 'scale', flagged: Flags): Float64Array {
  if (mode === 'none') return row.slice();
  if (mode === 'clip') return row.map((value, i) => (flagged[i] === true ? Math.max(-1, Math.min(1, value)) : value));
  const largest = row.reduce((most, value, i) => (flagged[i] === true ? Math.max(most, Math.abs(value)) : most), 1);
  return row.map((value, i) => (flagged[i] === true ? value / largest : value));
}

/** Adds the state to each delta (openpi's AbsoluteActions). Undefined = the column is not a delta. */
export function toAbsolute(row: Float64Array, states: readonly (number | undefined)[]): Float64Array {
  return row.map((value, i) => value + (states[i] ?? 0));
}
