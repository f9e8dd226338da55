import type { PolicyConfig } from '../config/config.js';
import type { Problems } from '../config/problems.js';
import type { PolicyModel } from './model.js';
import { checkFeatureSize } from './lerobot-features.js';
import { readLerobotStatistics } from './statistics/lerobot.js';
import { readOpenpiStatistics } from './statistics/openpi.js';
import {
  dimensions,
  lerobotNormalizer,
  type Normalizer,
  openpiNormalizer,
  type Statistics,
} from './transforms/normalize.js';

/** The normalisation of a checkpoint. */
export interface Normalizers {
  /** Undefined where the state is not part of the prompt and is not normalised. */
  readonly state: Normalizer | undefined;
  readonly actions: Normalizer;
  /** How many of the model's action columns `actions` takes. */
  readonly columns: number;
}

/**
 * Reads a checkpoint's statistics and checks them against the configured joints. Missing statistics are a problem; values
 * are never left unnormalised because of them.
 * @returns undefined where a problem was added.
 */
export function loadNormalizers(
  directory: string,
  model: PolicyModel,
  config: PolicyConfig,
  problems: Problems,
): Normalizers | undefined {
  const { joints } = config.action;
  if (model.family === 'openpi') {
    const vectors = model.stateInPrompt ? (['state', 'actions'] as const) : (['actions'] as const);
    const read = readOpenpiStatistics(directory, config.assetId, vectors, problems);
    const [state, actions] = [read.get('state'), read.get('actions')];
    if (state !== undefined) {
      checkLength('state.joints', config.state.joints.length, 'up to', state, problems);
      checkEachIsUsed('state.joints', config.state.joints.length, state, problems);
    }
    if (actions !== undefined) {
      checkLength('action.joints', joints.length, 'up to', actions, problems);
      checkEachIsUsed('action.joints', joints.length, actions, problems);
      checkColumns(actions, model, problems);
    }
    if (actions === undefined) return undefined;
    return {
      state: state === undefined ? undefined : openpiNormalizer(state),
      actions: openpiNormalizer(actions),
      columns: model.actionDim,
    };
  }

  if (config.assetId !== '') {
    problems.add(
      'CONFIG_RANGE',
      `Expected no asset_id for a LeRobot checkpoint, received ${config.assetId}`,
      'asset_id',
    );
  }
  const state = model.stateInPrompt ? readLerobotStatistics(directory, 'state', problems) : undefined;
  const actions = readLerobotStatistics(directory, 'actions', problems);
  if (state !== undefined && config.state.mode === 'joints') {
    checkLength('state.joints', config.state.joints.length, 'exactly', state.statistics, problems);
  }
  if (state !== undefined) checkFeatureSize(directory, 'state', state.statistics, problems);
  if (actions !== undefined) checkFeatureSize(directory, 'actions', actions.statistics, problems);
  if (actions === undefined) return undefined;
  checkLength('action.joints', joints.length, 'exactly', actions.statistics, problems);
  return {
    state: state === undefined ? undefined : lerobotNormalizer(state.statistics, state.epsilon),
    actions: lerobotNormalizer(actions.statistics, actions.epsilon),
    columns: joints.length,
  };
}

/** @param relation whether there must be as many names as statistics, or may be fewer. */
function checkLength(
  parameter: string,
  received: number,
  relation: 'exactly' | 'up to',
  statistics: Statistics,
  problems: Problems,
): void {
  const length = dimensions(statistics);
  if (length === Infinity || received === length || (relation === 'up to' && received < length)) return;
  const expected = relation === 'exactly' ? String(length) : `up to ${String(length)}`;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected ${expected} names in ${parameter}, as many as the checkpoint has statistics for, received ${String(received)}`,
    parameter,
  );
}

/** Adds a problem where a robot has fewer joints than the checkpoint was trained with. */
function checkEachIsUsed(parameter: string, received: number, statistics: Statistics, problems: Problems): void {
  const expected = usedDimensions(statistics);
  if (received >= expected || problems.concerns([parameter])) return;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected ${String(expected)} names in ${parameter}, one for each number that the checkpoint was trained with, ` +
      `received ${String(received)}`,
    parameter,
  );
}

/** Dimensions without the padding at the end: constants, and the range −1 … 1 of statistics that were made up. */
function usedDimensions(statistics: Statistics): number {
  if (statistics.kind !== 'quantile') return 0;
  const { q01, q99 } = statistics;
  const isPadding = (i: number): boolean => q01[i] === q99[i] || (q01[i] === -1 && q99[i] === 1);
  let length = q01.length;
  while (length > 0 && isPadding(length - 1)) length -= 1;
  return length;
}

/** Adds a problem where there are statistics for more actions than the model has. */
export function checkColumns(actions: Statistics, model: PolicyModel, problems: Problems): void {
  const length = dimensions(actions);
  if (length === Infinity || length <= model.actionDim) return;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected statistics for up to the model's ${String(model.actionDim)} actions, received ${String(length)}`,
    'checkpoint',
  );
}
