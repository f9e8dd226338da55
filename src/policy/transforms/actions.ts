/** From unnormalised actions to those that the robot's units are applied to (`config/units.ts`), one row at a time. */

/** One a column. */
export type Flags = readonly boolean[];

/**
 * Model values above the threshold become 1, others 0, as DROID's client does with the gripper at 0.5
 * (openpi, examples/droid/main.py). NaN stays: it is for the checks to see.
 */
export function binarize(row: Float64Array, thresholds: readonly (number | undefined)[]): Float64Array {
  return row.map((value, i) => {
    const threshold = thresholds[i];
    if (threshold === undefined || Number.isNaN(value)) return value;
    return value > threshold ? 1 : 0;
  });
}

/**
 * Values beyond ±1 in the flagged columns. `clip`, each alone, is what openpi's DROID client does before it calls the
 * robot (`np.clip(action, -1, 1)`, examples/droid/main.py); `scale`, all by the largest, is what DROID's own robot does
 * with velocities that nobody clipped (`joint_velocity_to_delta`, droid/robot_ik/robot_ik_solver.py).
 */
export function bound(row: Float64Array, mode: 'none' | 'clip' | 'scale', flagged: Flags): Float64Array {
  if (mode === 'none') return row.slice();
  if (mode === 'clip') return row.map((value, i) => (flagged[i] === true ? Math.max(-1, Math.min(1, value)) : value));
  const largest = row.reduce((most, value, i) => (flagged[i] === true ? Math.max(most, Math.abs(value)) : most), 1);
  return row.map((value, i) => (flagged[i] === true ? value / largest : value));
}

/** Adds each delta to its state (openpi's AbsoluteActions); undefined = the column is not a delta. */
export function toAbsolute(row: Float64Array, states: readonly (number | undefined)[]): Float64Array {
  return row.map((value, i) => value + (states[i] ?? 0));
}
