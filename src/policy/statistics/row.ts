import type { Problems } from '../../config/problems.js';

/** A row of finite numbers, or a description of what was received instead. */
export function finiteRow(received: unknown): Float64Array | string {
  if (received === undefined || received === null) return 'nothing';
  if (!Array.isArray(received)) return `a value of type ${typeof received}`;
  if (received.length === 0) return 'an empty list';
  const bad = received.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return Float64Array.from(received as number[]);
  const value: unknown = received[bad];
  const shown = value === null || typeof value === 'number' ? String(value ?? NaN) : `a value of type ${typeof value}`;
  return `${shown} at index ${String(bad)}`;
}

/** Adds a problem where the upper quantile of a column is below the lower one. */
export function checkQuantiles(
  name: string,
  q01: Float64Array,
  q99: Float64Array,
  path: string,
  problems: Problems,
): void {
  const wrong = [...q01.keys()].filter((i) => (q99[i] ?? NaN) < (q01[i] ?? NaN));
  const [first] = wrong;
  if (first === undefined) return;
  const others = wrong.length === 1 ? '' : ` (and ${String(wrong.length - 1)} more)`;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected ${name}.q99 at or above ${name}.q01, received ${String(q99[first])} and ${String(q01[first])} at index ` +
      `${String(first)}${others} from ${path}`,
    path,
  );
}
