import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyConfig } from '../config/config.js';
import type { Problems } from '../config/problems.js';
import { IMAGE_SLOTS } from '../frame/frame.js';
import { dimensions, type Statistics } from './transforms/normalize.js';

/** The model's inputs and outputs in LeRobot's config.json; members are undefined where it does not state them. */
export interface LerobotFeatures {
  /** Names of the camera images in slot order, without empty cameras. */
  readonly cameras: readonly string[] | undefined;
  readonly state: number | undefined;
  readonly actions: number | undefined;
}

export function lerobotFeatures(directory: string): LerobotFeatures {
  type Features = Readonly<Record<string, { readonly type?: unknown; readonly shape?: readonly unknown[] }>>;
  let config: { readonly input_features?: Features; readonly output_features?: Features } = {};
  try {
    config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as typeof config;
  } catch {
    // The engine reports an invalid config.json.
  }
  const { input_features: inputs, output_features: outputs } = config;
  const size = (features: Features | undefined, name: string): number | undefined => {
    const length = features?.[name]?.shape?.[0];
    return typeof length === 'number' ? length : undefined;
  };
  const cameras = inputs && Object.keys(inputs).filter((name) => inputs[name]?.type === 'VISUAL');
  return {
    cameras: cameras?.filter((name) => !name.includes('empty_camera')),
    state: size(inputs, 'observation.state'),
    actions: size(outputs, 'action'),
  };
}

/** Adds a problem where config.json declares another number of values than there are statistics for. */
export function checkFeatureSize(
  directory: string,
  vector: 'state' | 'actions',
  statistics: Statistics,
  problems: Problems,
): void {
  const declared = lerobotFeatures(directory)[vector];
  const length = dimensions(statistics);
  if (declared === undefined || length === Infinity || declared === length) return;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected statistics for the ${String(declared)} numbers of the ${vector} in ${join(directory, 'config.json')}, ` +
      `received ${String(length)}`,
    directory,
  );
}

/** Adds a problem where the checkpoint was trained with more cameras than the model takes. @param slots the model's. */
export function checkCameraCount(directory: string, slots: number, problems: Problems): void {
  const { cameras = [] } = lerobotFeatures(directory);
  if (cameras.length <= slots) return;
  problems.add(
    'CHECKPOINT_TENSORS',
    `Expected at most ${String(slots)} cameras, as many as the model takes, received ${String(cameras.length)} in ` +
      `${join(directory, 'config.json')}: ${cameras.join(', ')}`,
    directory,
  );
}

/** Adds a problem where the configured cameras are not in the slots that the checkpoint was trained with. */
export function checkCameras(directory: string, slots: number, { cameras }: PolicyConfig, problems: Problems): void {
  const { cameras: trained } = lerobotFeatures(directory);
  if (trained === undefined || trained.length > slots || problems.concerns(['cameras.names'])) return;
  const received = cameras.map(({ slot }) => slot);
  const expected = IMAGE_SLOTS.slice(0, trained.length);
  if (expected.every((slot) => received.includes(slot)) && received.length === trained.length) return;
  problems.add(
    'CONFIG_RANGE',
    `Expected ${String(trained.length)} cameras, for ${trained.map((name, i) => `${name} in ${String(expected[i])}`).join(' and ')}, ` +
      `received ${received.join(', ') || 'none'}`,
    'cameras.names',
  );
}
