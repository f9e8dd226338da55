import type { PolicyConfig } from '../config/config.js';
import type { Problems } from '../config/problems.js';
import { checkCameraCount, checkCameras } from './lerobot-features.js';
import { checkModel, type PolicyModel } from './model.js';
import { loadNormalizers, type Normalizers } from './normalizers.js';
import { checkRelativeActions } from './relative-actions.js';

/**
 * Checks a checkpoint and a configuration against each other. Loading and `pi05 inspect` both call it, so that neither accepts
 * what the other refuses.
 * @returns undefined where the statistics cannot be used.
 */
export function checkCompatibility(
  directory: string,
  model: PolicyModel,
  config: PolicyConfig,
  problems: Problems,
): Normalizers | undefined {
  checkModel(config, model, problems);
  const normalizers = loadNormalizers(directory, model, config, problems);
  if (model.family === 'lerobot') {
    checkCameraCount(directory, model.slots, problems);
    checkCameras(directory, model.slots, config, problems);
    checkRelativeActions(directory, config, problems);
  }
  return normalizers;
}
