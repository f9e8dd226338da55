import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Problems } from '../../config/problems.js';
import { errorMessage, Pi05Error } from '../../errors.js';
import { oneLine } from '../../format.js';
import { lfsPointerError } from '../lfs-pointer.js';
import type { Statistics } from '../transforms/normalize.js';
import { checkQuantiles, finiteRow } from './row.js';

export const OPENPI_FILE = 'norm_stats.json';

/**
 * Statistics as openpi saves them: `assets/<asset_id>/norm_stats.json`. Pi0.5 is always normalised with quantiles (openpi,
 * training/config.py: every model type except Pi0). Adds a CHECKPOINT_STATS problem for everything that is missing or wrong.
 */
export function readOpenpiStatistics(
  directory: string,
  assetId: string,
  vectors: readonly ('state' | 'actions')[],
  problems: Problems,
): Map<string, Statistics> {
  const result = new Map<string, Statistics>();
  const path = findFile(directory, assetId, problems);
  if (path === undefined) return result;
  const stats = readJson(path, problems);
  if (stats === undefined) return result;
  for (const vector of vectors) {
    const q01 = numbers(stats, vector, 'q01', path, problems);
    const q99 = numbers(stats, vector, 'q99', path, problems);
    if (q01 === undefined || q99 === undefined) continue;
    if (q01.length !== q99.length) {
      problems.add(
        'CHECKPOINT_STATS',
        `Expected as many numbers in norm_stats.${vector}.q01 as in q99, received ${String(q01.length)} and ` +
          `${String(q99.length)} from ${path}`,
        path,
      );
      continue;
    }
    checkQuantiles(`norm_stats.${vector}`, q01, q99, path, problems);
    result.set(vector, { kind: 'quantile', q01, q99 });
  }
  return result;
}

function findFile(directory: string, assetId: string, problems: Problems): string | undefined {
  const assets = join(directory, 'assets');
  const ids = assetIds(assets);
  const [only] = ids;
  const addProblem = (expected: string, remedy = ''): void => {
    const received = ids.length === 0 ? 'none' : ids.join(', ');
    problems.add('CHECKPOINT_STATS', `Expected ${expected}, received ${received} in ${assets}${remedy}`, assets);
  };
  if (only === undefined) addProblem(`statistics in assets/<asset_id>/${OPENPI_FILE}`);
  else if (assetId !== '' && !ids.includes(assetId))
    addProblem(`statistics for asset_id ${assetId}`, ' (choose one of them with asset_id)');
  else if (assetId === '' && ids.length > 1) addProblem('asset_id to name one of several statistics');
  else return join(assets, assetId === '' ? only : assetId, OPENPI_FILE);
  return undefined;
}

/** The asset ids in a checkpoint's `assets` directory. They may have slashes, so the files may be at any depth. */
export function assetIds(assets: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(assets, { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  return entries
    .filter((entry) => entry.endsWith(`/${OPENPI_FILE}`))
    .map((entry) => entry.slice(0, -OPENPI_FILE.length - 1))
    .sort();
}

/** The value of `norm_stats` in the file; undefined, with a problem, where the file cannot be read. */
export function readJson(path: string, problems: Problems | undefined): unknown {
  try {
    // Python writes NaN and Infinity, which are not JSON. As null they are reported with the other wrong numbers.
    const text = readFileSync(path, 'utf8').replaceAll(/-?\b(?:NaN|Infinity)\b/g, 'null');
    return (JSON.parse(text) as { norm_stats?: unknown }).norm_stats ?? {};
  } catch (error) {
    const reason = oneLine(errorMessage(error));
    problems?.addError(
      lfsPointerError(path) ?? new Pi05Error('CHECKPOINT_STATS', `Expected JSON in ${path}, received: ${reason}`, path),
    );
    return undefined;
  }
}

/** Undefined, with a problem, where it is not a row of finite numbers. */
function numbers(
  stats: unknown,
  vector: string,
  statistic: string,
  path: string,
  problems: Problems,
): Float64Array | undefined {
  const values = finiteRow((stats as Record<string, Record<string, unknown> | undefined>)[vector]?.[statistic]);
  if (typeof values !== 'string') return values;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected a list of finite numbers for norm_stats.${vector}.${statistic}, received ${values} from ${path}`,
    path,
  );
  return undefined;
}
