/**
 * Normalisation between the dataset's units and the model's. Each family computes exactly as its reference does: openpi in
 * float64 (`transforms.py`, Normalize and Unnormalize), LeRobot in float32 (`normalize_processor.py`).
 */
import { Pi05Error } from '../../errors.js';

/** One number per dimension. */
export type Statistics =
  | { readonly kind: 'quantile'; readonly q01: Float64Array; readonly q99: Float64Array }
  | { readonly kind: 'zscore'; readonly mean: Float64Array; readonly std: Float64Array }
  /** The checkpoint declares that these values are not normalised. */
  | { readonly kind: 'identity' };

export interface Normalizer {
  /** [dimensions] → [dimensions]. @throws Pi05Error CHECKPOINT_STATS for a length that the reference rejects. */
  normalize(values: Float64Array): Float64Array;
  /**
   * [rows, columns], row-major → the same shape.
   * @throws Pi05Error CHECKPOINT_STATS for a number of columns that the reference rejects.
   */
  unnormalize(values: Float32Array | Float64Array, columns: number): Float64Array;
}

const OPENPI_EPSILON = 1e-6;

/**
 * openpi's normalisation. A state shorter than the statistics uses the first of them. Columns beyond the statistics (the
 * model's padding) are not changed by quantiles, and have std 1 with z-scores. float32 rows are widened to float64 only
 * where numpy widens them.
 */
export function openpiNormalizer(statistics: Statistics): Normalizer {
  const length = dimensions(statistics);
  return {
    normalize(values) {
      if (values.length > length) throw lengthError(`at most ${String(length)}`, values.length);
      return values.map((x, i) => {
        if (statistics.kind === 'identity') return x;
        if (statistics.kind === 'zscore')
          return (x - valueAt(statistics.mean, i)) / (valueAt(statistics.std, i) + OPENPI_EPSILON);
        return ((x - valueAt(statistics.q01, i)) / range(statistics, i)) * 2 - 1;
      });
    },
    unnormalize(values, columns) {
      if (statistics.kind !== 'identity' && columns < length) throw lengthError(`at least ${String(length)}`, columns);
      const narrow = values instanceof Float32Array ? Math.fround : (x: number): number => x;
      return Float64Array.from(values, (x, index) => {
        const i = index % columns;
        if (statistics.kind === 'identity') return x;
        if (statistics.kind === 'zscore') {
          const [mean, std] = i < length ? [valueAt(statistics.mean, i), valueAt(statistics.std, i)] : [0, 1];
          return x * (std + OPENPI_EPSILON) + mean;
        }
        return i >= length ? x : (narrow(x + 1) / 2) * range(statistics, i) + valueAt(statistics.q01, i);
      });
    },
  };

  function range({ q01, q99 }: { readonly q01: Float64Array; readonly q99: Float64Array }, i: number): number {
    return valueAt(q99, i) - valueAt(q01, i) + OPENPI_EPSILON;
  }
}

/**
 * LeRobot's normalisation. Lengths must agree; epsilon replaces only a quantile range of exactly 0; every step rounds to
 * float32.
 */
export function lerobotNormalizer(statistics: Statistics, epsilon: number): Normalizer {
  const f = Math.fround;
  const length = dimensions(statistics);
  const check = (received: number): void => {
    if (statistics.kind !== 'identity' && received !== length) throw lengthError(String(length), received);
  };
  const range = ({ q01, q99 }: { readonly q01: Float64Array; readonly q99: Float64Array }, i: number): number => {
    const difference = f(f(valueAt(q99, i)) - f(valueAt(q01, i)));
    return difference === 0 ? f(epsilon) : difference;
  };
  return {
    normalize(values) {
      check(values.length);
      return values.map((value, i) => {
        const x = f(value);
        if (statistics.kind === 'identity') return x;
        if (statistics.kind === 'zscore') {
          return f(f(x - f(valueAt(statistics.mean, i))) / f(f(valueAt(statistics.std, i)) + f(epsilon)));
        }
        return f(f(f(2 * f(x - f(valueAt(statistics.q01, i)))) / range(statistics, i)) - 1);
      });
    },
    unnormalize(values, columns) {
      check(columns);
      return Float64Array.from(values, (value, index) => {
        const i = index % columns;
        const x = f(value);
        if (statistics.kind === 'identity') return x;
        if (statistics.kind === 'zscore')
          return f(f(x * f(valueAt(statistics.std, i))) + f(valueAt(statistics.mean, i)));
        return f(f(f(f(x + 1) * range(statistics, i)) / 2) + f(valueAt(statistics.q01, i)));
      });
    },
  };
}

/** The number of dimensions that have statistics; Infinity for identity. */
export function dimensions(statistics: Statistics): number {
  if (statistics.kind === 'identity') return Infinity;
  return statistics.kind === 'zscore' ? statistics.mean.length : statistics.q01.length;
}

function valueAt(values: Float64Array, index: number): number {
  return values[index] ?? NaN;
}

function lengthError(expected: string, received: number): Pi05Error<'CHECKPOINT_STATS'> {
  return new Pi05Error(
    'CHECKPOINT_STATS',
    `Expected ${expected} values for the statistics, received ${String(received)}`,
  );
}
