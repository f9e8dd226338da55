import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Problems } from '../../config/problems.js';
import { Pi05Error } from '../../errors.js';
import { readSafetensors, type SafetensorsFile } from '../../safetensors.js';
import type { Statistics } from '../transforms/normalize.js';

/** LeRobot's default where the processor's configuration names no other. */
const EPSILON = 1e-8;

/** What one of LeRobot's processor files says about the vector it normalises. */
export interface LerobotStatistics {
  readonly statistics: Statistics;
  readonly epsilon: number;
}

interface Step {
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
 * Statistics as LeRobot saves them: a processor's json names the mode (QUANTILES, MEAN_STD, IDENTITY) and the
 * safetensors file that holds `observation.state.*` or `action.*`. Problems get a CHECKPOINT_STATS for everything missing.
 */
export function readLerobotStatistics(
  directory: string,
  vector: keyof typeof VECTORS,
  problems: Problems,
): LerobotStatistics | undefined {
  const { json, step: stepName, feature, type } = VECTORS[vector];
  const path = join(directory, json);
  const complain = (expected: string, received: string): undefined => {
    problems.add('CHECKPOINT_STATS', `Expected ${expected}, received ${received} from ${path}`, path);
  };
  const steps = readSteps(path, problems);
  if (steps === undefined) return undefined;
  const step = steps.find(({ registry_name: name }) => name === stepName);
  if (step === undefined) return complain(`a step ${stepName}`, 'none');

  const config = step.config ?? {};
  const epsilon = typeof config['eps'] === 'number' ? config['eps'] : EPSILON;
  const keys = config['normalize_observation_keys'];
  const left = vector === 'state' && Array.isArray(keys) && !keys.includes(feature);
  const mode = left ? 'IDENTITY' : (config['norm_map'] as Record<string, unknown> | undefined)?.[type];
  if (mode === 'IDENTITY') return { statistics: { kind: 'identity' }, epsilon };
  if (mode !== 'QUANTILES' && mode !== 'MEAN_STD') {
    return complain(
      `QUANTILES, MEAN_STD or IDENTITY for ${type} in norm_map`,
      typeof mode === 'string' ? mode : 'nothing',
    );
  }

  if (step.state_file === undefined) return complain(`a state_file in the step ${stepName}`, 'none');
  const statePath = join(directory, step.state_file);
  let file: SafetensorsFile;
  try {
    file = readSafetensors(statePath);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return complain(`statistics in ${step.state_file}`, `"${reason}"`);
  }
  const [low, high] = mode === 'QUANTILES' ? (['q01', 'q99'] as const) : (['mean', 'std'] as const);
  const first = numbers(file, `${feature}.${low}`, statePath, problems);
  const second = numbers(file, `${feature}.${high}`, statePath, problems);
  if (first === undefined || second === undefined) return undefined;
  if (first.length !== second.length) {
    return complain(
      `as many numbers in ${feature}.${low} as in ${feature}.${high}`,
      `${String(first.length)} and ${String(second.length)}`,
    );
  }
  return {
    statistics:
      mode === 'QUANTILES'
        ? { kind: 'quantile', q01: first, q99: second }
        : { kind: 'zscore', mean: first, std: second },
    epsilon,
  };
}

/** Whether LeRobot's post-processor adds the state to the actions, so that they are deltas. */
export function hasRelativeActions(directory: string): boolean {
  const steps = readSteps(join(directory, VECTORS.actions.json), undefined) ?? [];
  return steps.some((step) => step.registry_name === 'absolute_actions_processor' && step.config?.['enabled'] === true);
}

/** What LeRobot's preprocessor calls its tokenizer: a folder beside it, or a name on the Hugging Face hub. */
export function lerobotTokenizer(directory: string): string | undefined {
  const steps = readSteps(join(directory, VECTORS.state.json), undefined) ?? [];
  const step = steps.find(({ registry_name: name }) => name === 'tokenizer_processor');
  const name = step?.artifacts?.['tokenizer_name'] ?? step?.config?.['tokenizer_name'];
  return typeof name === 'string' ? name : undefined;
}

/** The steps of a processor file; undefined, and a problem for the caller who wants one, where there is none. */
function readSteps(path: string, problems: Problems | undefined): readonly Step[] | undefined {
  if (problems === undefined && !existsSync(path)) return undefined;
  try {
    const { steps } = JSON.parse(readFileSync(path, 'utf8')) as { steps?: unknown };
    if (Array.isArray(steps)) return steps as Step[];
    throw new Error('no list of steps');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problems?.addError(
      new Pi05Error('CHECKPOINT_STATS', `Expected LeRobot's processor steps in ${path}, received: ${reason}`, path),
    );
    return undefined;
  }
}

function numbers(file: SafetensorsFile, name: string, path: string, problems: Problems): Float64Array | undefined {
  const tensor = file.tensors.get(name);
  if (tensor?.dtype === 'F32' || tensor?.dtype === 'F64') {
    const values = Float64Array.from(tensor.data);
    if (tensor.shape.length === 1 && values.length > 0 && values.every(Number.isFinite)) return values;
  }
  const received = tensor === undefined ? 'nothing' : `${tensor.dtype} [${tensor.shape.join(', ')}]`;
  problems.add(
    'CHECKPOINT_STATS',
    `Expected a row of finite numbers for ${name}, received ${received} from ${path}`,
    path,
  );
  return undefined;
}
