import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Problems } from '../../config/problems.js';
import { errorMessage, Pi05Error } from '../../errors.js';
import { oneLine } from '../../format.js';
import { readSafetensors, type SafetensorsFile } from '../../safetensors.js';
import { lfsPointerError } from '../lfs-pointer.js';
import type { Statistics } from '../transforms/normalize.js';
import { checkQuantiles, finiteRow } from './row.js';

/** LeRobot's default, where the processor's configuration does not set one. */
const EPSILON = 1e-8;

/** The normalisation in one of LeRobot's processor files. */
export interface LerobotStatistics {
  readonly statistics: Statistics;
  readonly epsilon: number;
}

/** A step of one of LeRobot's processors. */
export interface Step {
  readonly registry_name?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly state_file?: string;
  readonly artifacts?: Readonly<Record<string, unknown>>;
}

const VECTORS = {
  state: {
    json: 'policy_preprocessor.json',
    step: 'normalizer_processor',
    feature: 'observation.state',
    type: 'STATE',
  },
  actions: { json: 'policy_postprocessor.json', step: 'unnormalizer_processor', feature: 'action', type: 'ACTION' },
} as const;

/**
 * Statistics as LeRobot saves them: a processor's JSON file names the mode (QUANTILES, MEAN_STD, IDENTITY) and the
 * safetensors file with `observation.state.*` or `action.*`. Adds a CHECKPOINT_STATS problem for everything missing or wrong.
 */
export function readLerobotStatistics(
  directory: string,
  vector: keyof typeof VECTORS,
  problems: Problems,
): LerobotStatistics | undefined {
  const { json, step: stepName, feature, type } = VECTORS[vector];
  const path = join(directory, json);
  const addProblem = (expected: string, received: string): undefined => {
    problems.add('CHECKPOINT_STATS', `Expected ${expected}, received ${received} from ${path}`, path);
  };
  const steps = readSteps(path, problems);
  if (steps === undefined) return undefined;
  const step = steps.find(({ registry_name: name }) => name === stepName);
  if (step === undefined) return addProblem(`a step ${stepName}`, 'none');

  const config = step.config ?? {};
  const epsilon = typeof config['eps'] === 'number' ? config['eps'] : EPSILON;
  const keys = config['normalize_observation_keys'];
  const isExcluded = vector === 'state' && Array.isArray(keys) && !keys.includes(feature);
  const mode = isExcluded ? 'IDENTITY' : (config['norm_map'] as Record<string, unknown> | undefined)?.[type];
  if (mode === 'IDENTITY') return { statistics: { kind: 'identity' }, epsilon };
  if (mode !== 'QUANTILES' && mode !== 'MEAN_STD') {
    return addProblem(
      `QUANTILES, MEAN_STD or IDENTITY for ${type} in norm_map`,
      typeof mode === 'string' ? mode : 'nothing',
    );
  }

  if (step.state_file === undefined) return addProblem(`a state_file in the step ${stepName}`, 'none');
  const statePath = join(directory, step.state_file);
  const pointer = lfsPointerError(statePath);
  if (pointer !== undefined) {
    problems.addError(pointer);
    return undefined;
  }
  let file: SafetensorsFile;
  try {
    file = readSafetensors(statePath);
  } catch (error) {
    const reason = oneLine(errorMessage(error));
    return addProblem(`statistics in ${step.state_file}`, `"${reason}"`);
  }
  const [low, high] = mode === 'QUANTILES' ? (['q01', 'q99'] as const) : (['mean', 'std'] as const);
  const first = numbers(file, `${feature}.${low}`, statePath, problems);
  const second = numbers(file, `${feature}.${high}`, statePath, problems);
  if (first === undefined || second === undefined) return undefined;
  if (first.length !== second.length) {
    return addProblem(
      `as many numbers in ${feature}.${low} as in ${feature}.${high}`,
      `${String(first.length)} and ${String(second.length)}`,
    );
  }
  if (mode === 'QUANTILES') checkQuantiles(feature, first, second, statePath, problems);
  return {
    statistics:
      mode === 'QUANTILES'
        ? { kind: 'quantile', q01: first, q99: second }
        : { kind: 'zscore', mean: first, std: second },
    epsilon,
  };
}

/** Every statistic of a vector in its file, by name (mean, std, q01, q99 …), for display. */
export function lerobotRows(directory: string, vector: keyof typeof VECTORS): Map<string, Float64Array> {
  const { json, step: stepName, feature } = VECTORS[vector];
  const rows = new Map<string, Float64Array>();
  const { state_file: file } = processorStep(directory, json, stepName) ?? {};
  if (file === undefined || !existsSync(join(directory, file))) return rows;
  try {
    for (const [name, tensor] of readSafetensors(join(directory, file)).tensors) {
      if (!name.startsWith(`${feature}.`) || (tensor.dtype !== 'F32' && tensor.dtype !== 'F64')) continue;
      rows.set(name.slice(feature.length + 1), Float64Array.from(tensor.data));
    }
  } catch (error) {
    if (!(error instanceof Pi05Error)) throw error;
  }
  return rows;
}

/** The first step with this name in a processor file; undefined where there is none. */
export function processorStep(directory: string, json: string, name: string): Step | undefined {
  return readSteps(join(directory, json), undefined)?.find(({ registry_name: registered }) => registered === name);
}

/** The tokenizer that LeRobot's preprocessor names: a directory in the checkpoint, or a name on the Hugging Face hub. */
export function lerobotTokenizer(directory: string): string | undefined {
  const step = processorStep(directory, VECTORS.state.json, 'tokenizer_processor');
  const name = step?.artifacts?.['tokenizer_name'] ?? step?.config?.['tokenizer_name'];
  return typeof name === 'string' ? name : undefined;
}

/** The steps of a processor file; undefined where there are none, with a problem if `problems` is given. */
function readSteps(path: string, problems: Problems | undefined): readonly Step[] | undefined {
  if (problems === undefined && !existsSync(path)) return undefined;
  try {
    const { steps } = JSON.parse(readFileSync(path, 'utf8')) as { steps?: unknown };
    if (Array.isArray(steps)) return steps as Step[];
    throw new Error('no list of steps');
  } catch (error) {
    const reason = oneLine(errorMessage(error));
    problems?.addError(
      lfsPointerError(path) ??
        new Pi05Error('CHECKPOINT_STATS', `Expected LeRobot's processor steps in ${path}, received: ${reason}`, path),
    );
    return undefined;
  }
}

function numbers(file: SafetensorsFile, name: string, path: string, problems: Problems): Float64Array | undefined {
  const tensor = file.tensors.get(name);
  let received: Float64Array | string =
    tensor === undefined ? 'nothing' : `${tensor.dtype} [${tensor.shape.join(', ')}]`;
  if ((tensor?.dtype === 'F32' || tensor?.dtype === 'F64') && tensor.shape.length === 1) {
    received = finiteRow(Array.from(tensor.data));
  }
  if (typeof received !== 'string') return received;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected a row of finite numbers for ${name}, received ${received} from ${path}`,
    path,
  );
  return undefined;
}
