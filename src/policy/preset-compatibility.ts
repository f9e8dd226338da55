import type { PolicyConfig } from '../config/config.js';
import { type Problem, Problems } from '../config/problems.js';
import { IMAGE_SLOTS } from '../frame/frame.js';
import type { StatisticsReport, VectorReport } from './inspect.js';
import { checkModel, type PolicyModel } from './model.js';
import { loadNormalizers } from './normalizers.js';
import { lerobotFeatures } from './statistics/lerobot.js';

/**
 * Why a configuration is not compatible with a checkpoint: the problems that loading would report, and others that loading
 * accepts but that are probably a mistake, such as a robot with fewer joints than the checkpoint was trained with.
 * @returns an empty list where it is compatible.
 */
export function incompatibilities(
  directory: string,
  model: PolicyModel,
  statistics: readonly StatisticsReport[],
  config: PolicyConfig,
): readonly Problem[] {
  const problems = new Problems();
  checkModel(config, model, problems);
  loadNormalizers(directory, model, config, problems);
  const { assetId } = config;
  const used = statistics.find(({ assetId: id }) => id === undefined || id === assetId || assetId === '');
  if (model.family === 'openpi' && used !== undefined) {
    if (model.stateInPrompt) checkJointCount('state.joints', config.state.joints.length, used.state, problems);
    checkJointCount('action.joints', config.action.joints.length, used.actions, problems);
  }
  if (model.family === 'lerobot') checkCameras(directory, config, problems);
  return problems.list;
}

function checkJointCount(
  parameter: string,
  received: number,
  report: VectorReport | undefined,
  problems: Problems,
): void {
  const expected = report === undefined ? 0 : usedDimensions(report);
  if (received >= expected || problems.concerns([parameter])) return;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected ${String(expected)} names in ${parameter}, one for each number that the checkpoint was trained with, ` +
      `received ${String(received)}`,
    parameter,
  );
}

/** Dimensions without the padding at the end: constants, and the range −1 … 1 of statistics that were made up. */
function usedDimensions({ rows: { q01 = [], q99 = [] } }: VectorReport): number {
  const isPadding = (i: number): boolean => q01[i] === q99[i] || (q01[i] === -1 && q99[i] === 1);
  let length = q01.length;
  while (length > 0 && isPadding(length - 1)) length -= 1;
  return length;
}

function checkCameras(directory: string, { cameras }: PolicyConfig, problems: Problems): void {
  const { cameras: trained } = lerobotFeatures(directory);
  if (trained === undefined || problems.concerns(['cameras.names'])) return;
  const slots = cameras.map(({ slot }) => slot);
  if (IMAGE_SLOTS.slice(0, trained.length).every((slot) => slots.includes(slot)) && slots.length === trained.length) {
    return;
  }
  problems.add(
    'CONFIG_RANGE',
    `Expected ${String(trained.length)} cameras, for ${trained.map((name, i) => `${name} in ${String(IMAGE_SLOTS[i])}`).join(' and ')}, ` +
      `received ${slots.join(', ') || 'none'}`,
    'cameras.names',
  );
}
