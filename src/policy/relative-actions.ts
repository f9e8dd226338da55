import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyConfig } from '../config/config.js';
import type { Problems } from '../config/problems.js';
import { parameterName } from '../config/schema.js';
import { processorStep } from './statistics/lerobot.js';

/** LeRobot's settings of relative actions. */
interface Settings {
  readonly enabled: boolean;
  readonly excluded: readonly string[];
  /** Undefined: exclusions have no effect. */
  readonly names: readonly string[] | undefined;
}

/**
 * Adds a problem where the `kind` of an action joint contradicts the checkpoint: LeRobot adds the state to the actions that are
 * relative (here kind delta) and to no other. Nothing is checked where the checkpoint has no such settings (before LeRobot 0.5.1).
 */
export function checkRelativeActions(directory: string, config: PolicyConfig, problems: Problems): void {
  const settings = readSettings(directory, problems);
  const { joints } = config.action;
  if (settings === undefined || problems.concerns(['action.joints'])) return;
  const relative = relativeActions(settings, joints.length);
  const report = (expected: string, wrong: typeof joints): void => {
    if (wrong.length === 0) return;
    const received = wrong.map(({ name, kind }) => `${kind} for ${name}`).join(', ');
    problems.add(
      'CONFIG_RANGE',
      `Expected ${expected} (${reason(settings)}), received ${received}`,
      ...wrong.map(({ name }) => parameterName('action.<joint>.kind', name)),
    );
  };
  report(
    "kind delta for action joints whose actions are relative to the state in the checkpoint's training",
    joints.filter(({ kind }, i) => relative[i] === true && kind !== 'delta'),
  );
  report(
    "kind position or velocity for action joints whose actions are not relative to the state in the checkpoint's training",
    joints.filter(({ kind }, i) => relative[i] === false && kind === 'delta'),
  );

  // LeRobot adds the number of the state with the same index.
  const states = config.state.joints;
  const misplaced = joints.filter(({ name, kind }, i) => kind === 'delta' && relative[i] && states[i]?.name !== name);
  if (misplaced.length === 0 || problems.concerns(['state.joints'])) return;
  problems.add(
    'CONFIG_RANGE',
    'Expected joints with relative actions at the same place in state.joints as in action.joints, since LeRobot adds the ' +
      `state by its index, received another place for ${misplaced.map(({ name }) => name).join(', ')}`,
    'state.joints',
    'action.joints',
  );
}

/** Which of the actions are relative (LeRobot, relative_action_processor.py, `_build_mask`). */
export function relativeActions({ enabled, excluded, names }: Settings, count: number): boolean[] {
  const words = excluded.filter((word) => word !== '').map((word) => word.toLowerCase());
  return Array.from({ length: count }, (_, i) => {
    const name = names?.[i]?.toLowerCase();
    return enabled && !(name !== undefined && words.some((word) => name.includes(word)));
  });
}

function reason({ enabled, excluded, names }: Settings): string {
  if (!enabled) return 'relative actions are not enabled';
  if (excluded.length === 0) return 'relative actions are enabled for all';
  const words = excluded.join(', ');
  if (names === undefined)
    return `relative actions are enabled, and exclude_joints ${words} has no effect without action_names`;
  return `relative actions are enabled, without the names that contain ${words}: action_names are ${names.join(', ')}`;
}

/** Undefined where there are none, or, with a problem, where they contradict each other. */
function readSettings(directory: string, problems: Problems): Settings | undefined {
  const before = processorStep(directory, 'policy_preprocessor.json', 'relative_actions_processor');
  const after = processorStep(directory, 'policy_postprocessor.json', 'absolute_actions_processor');
  if (before === undefined && after === undefined) return readConfig(directory);
  const [subtracts, adds] = [before?.config?.['enabled'] === true, after?.config?.['enabled'] === true];
  if (subtracts !== adds) {
    const state = (enabled: boolean): string => (enabled ? 'enabled' : 'not enabled');
    problems.add(
      'CHECKPOINT_STATS',
      `Expected relative_actions_processor and absolute_actions_processor to be enabled together in ${directory}, received ` +
        `${state(subtracts)} in policy_preprocessor.json and ${state(adds)} in policy_postprocessor.json`,
      directory,
    );
    return undefined;
  }
  const { exclude_joints: excluded, action_names: names } = before?.config ?? {};
  return { enabled: subtracts, excluded: strings(excluded) ?? [], names: strings(names) };
}

/** From config.json, where the processors have no such steps. */
function readConfig(directory: string): Settings | undefined {
  let config: Readonly<Record<string, unknown>> | null;
  try {
    config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as typeof config;
  } catch {
    return undefined; // The engine reports an invalid config.json.
  }
  const enabled = config?.['use_relative_actions'];
  if (typeof enabled !== 'boolean') return undefined;
  const { relative_exclude_joints: excluded, action_feature_names: names } = config ?? {};
  return { enabled, excluded: strings(excluded) ?? [], names: strings(names) };
}

function strings(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.map(String) : undefined;
}
