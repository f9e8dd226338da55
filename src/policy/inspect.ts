import { join } from 'node:path';
import type { Problems } from '../config/problems.js';
import { checkCameraCount, checkFeatureSize } from './lerobot-features.js';
import type { PolicyModel } from './model.js';
import { checkColumns } from './normalizers.js';
import { lerobotRows, readLerobotStatistics } from './statistics/lerobot.js';
import { assetIds, OPENPI_FILE, readJson, readOpenpiStatistics } from './statistics/openpi.js';
import { finiteRow } from './statistics/row.js';
import { loadTokenizer } from './tokenizer/load.js';
import { Tokenizer } from './tokenizer/tokenizer.js';
import type { Statistics } from './transforms/normalize.js';

const ROWS = ['q01', 'q99', 'mean', 'std'] as const;

/** The statistics of the state or of the actions, for `pi05 inspect`. */
export interface VectorReport {
  /** How the policy normalises with them. */
  readonly kind: Statistics['kind'];
  readonly dimensions: number;
  /** The rows in the file, one number per dimension. */
  readonly rows: Readonly<Partial<Record<(typeof ROWS)[number], readonly number[]>>>;
}

export interface StatisticsReport {
  /** The asset id in an openpi checkpoint; undefined in a LeRobot one. */
  readonly assetId: string | undefined;
  /** Undefined where there are no valid ones. */
  readonly state: VectorReport | undefined;
  readonly actions: VectorReport | undefined;
}

export interface TokenizerReport {
  readonly path: string;
  /** The model type: BPE or Unigram. */
  readonly kind: string;
  /** Largest id + 1. */
  readonly vocab: number;
  readonly bos: number;
}

/**
 * All statistics of a checkpoint. Adds every problem with them, including those that no configuration would use, and with what
 * LeRobot's config.json declares.
 */
export function inspectStatistics(directory: string, model: PolicyModel, problems: Problems): StatisticsReport[] {
  if (model.family === 'lerobot') return [inspectLerobot(directory, model, problems)];
  const ids = assetIds(join(directory, 'assets'));
  if (ids.length === 0) readOpenpiStatistics(directory, '', [], problems);
  return ids.map((id) => inspectOpenpi(directory, id, model, problems));
}

export async function inspectTokenizer(
  directory: string,
  model: PolicyModel,
  problems: Problems,
): Promise<TokenizerReport | undefined> {
  const tokenizer = await loadTokenizer((...args) => Tokenizer.load(...args), directory, model, problems);
  return tokenizer && { path: tokenizer.path, kind: tokenizer.kind, vocab: tokenizer.vocab, bos: tokenizer.bos };
}

function inspectOpenpi(directory: string, id: string, model: PolicyModel, problems: Problems): StatisticsReport {
  const path = join(directory, 'assets', id, OPENPI_FILE);
  const needed = model.stateInPrompt ? (['state', 'actions'] as const) : (['actions'] as const);
  const statistics = readOpenpiStatistics(directory, id, needed, problems);
  const actions = statistics.get('actions');
  if (actions !== undefined) checkColumns(actions, model, problems);
  const json = readJson(path, undefined) as Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
  const report = (vector: 'state' | 'actions'): VectorReport | undefined => {
    const used = statistics.get(vector);
    const rows = new Map(ROWS.map((name) => [name, finiteRow(json?.[vector]?.[name])]));
    if (needed.some((name) => name === vector)) checkRows(`norm_stats.${vector}`, rows, path, problems);
    const q01 = rows.get('q01');
    if (used === undefined && (typeof q01 === 'string' || q01 === undefined)) return undefined;
    return vectorReport(used?.kind ?? 'quantile', rows);
  };
  return { assetId: id, state: report('state'), actions: report('actions') };
}

function inspectLerobot(directory: string, model: PolicyModel, problems: Problems): StatisticsReport {
  checkCameraCount(directory, model.slots, problems);
  const report = (vector: 'state' | 'actions'): VectorReport | undefined => {
    const read = readLerobotStatistics(directory, vector, problems);
    if (read === undefined) return undefined;
    checkFeatureSize(directory, vector, read.statistics, problems);
    if (vector === 'actions') checkColumns(read.statistics, model, problems);
    return vectorReport(read.statistics.kind, lerobotRows(directory, vector));
  };
  return { assetId: undefined, state: model.stateInPrompt ? report('state') : undefined, actions: report('actions') };
}

/** Checks mean and std too. They are not used with quantiles, but wrong ones mean that the file cannot be trusted. */
function checkRows(
  vector: string,
  rows: ReadonlyMap<string, Float64Array | string>,
  path: string,
  problems: Problems,
): void {
  const [q01, mean, std] = [rows.get('q01'), rows.get('mean'), rows.get('std')];
  for (const [name, row] of [
    ['mean', mean],
    ['std', std],
  ] as const) {
    if (row === undefined || row === 'nothing') continue;
    const wrong =
      typeof row === 'string'
        ? row
        : typeof q01 === 'object' && q01.length !== row.length
          ? `${String(row.length)} numbers and ${String(q01.length)} of q01`
          : undefined;
    if (wrong === undefined) continue;
    problems.add(
      'CHECKPOINT_STATS',
      `Expected as many finite numbers in ${vector}.${name} as in its quantiles, received ${wrong} from ${path}`,
      path,
    );
  }
}

function vectorReport(kind: Statistics['kind'], rows: ReadonlyMap<string, Float64Array | string>): VectorReport {
  const found = ROWS.flatMap((name) => {
    const row = rows.get(name);
    return row === undefined || typeof row === 'string' ? [] : [[name, [...row]] as const];
  });
  return { kind, dimensions: found[0]?.[1].length ?? 0, rows: Object.fromEntries(found) };
}
