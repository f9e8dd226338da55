import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ActionJoint } from '../../../src/config/config.js';
import { Problems } from '../../../src/config/problems.js';
import { checkRelativeActions, relativeActions } from '../../../src/policy/relative-actions.js';
import { fixture } from '../root.js';
import { actionJoint, policyConfig, stateJoint } from './config.js';

const LEROBOT = fixture('pi05', 'tiny-lerobot');
const FILES = ['policy_preprocessor.json', 'policy_postprocessor.json', 'config.json'] as const;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-relative-'));
  mkdirSync(directory, { recursive: true });
  for (const name of FILES) copyFileSync(join(LEROBOT, name), join(directory, name));
});
afterEach(() => rmSync(directory, { recursive: true }));

type Json = Record<string, unknown> & { steps: { registry_name: string; config: Record<string, unknown> }[] };
function edit(name: (typeof FILES)[number], change: (json: Json) => void): void {
  const json = JSON.parse(readFileSync(join(LEROBOT, name), 'utf8')) as Json;
  change(json);
  writeFileSync(join(directory, name), JSON.stringify(json));
}

/** Settings of the pre-processor, and whether the post-processor adds the state. */
function write(settings: Readonly<Record<string, unknown>>, adds: unknown = settings['enabled']): void {
  edit('policy_preprocessor.json', ({ steps }) => {
    Object.assign(steps.find(({ registry_name: name }) => name === 'relative_actions_processor')!.config, settings);
  });
  edit('policy_postprocessor.json', ({ steps }) => {
    steps.find(({ registry_name: name }) => name === 'absolute_actions_processor')!.config['enabled'] = adds;
  });
}

const NAMES = ['shoulder', 'elbow', 'gripper'];
function problemsOf(...kinds: ActionJoint['kind'][]): string[] {
  const problems = new Problems();
  const config = policyConfig(3, {
    action: { bound: 'none', joints: kinds.map((kind, i) => actionJoint(NAMES[i]!, { kind })) },
    state: { ...policyConfig(3).state, joints: NAMES.map((name) => stateJoint(name)) },
  });
  checkRelativeActions(directory, config, problems);
  return problems.list.map(({ code, message }) => `${code}: ${message}`);
}

describe('the mask', () => {
  test.each<[string, Parameters<typeof relativeActions>[0], boolean[]]>([
    ['not enabled', { enabled: false, excluded: [], names: undefined }, [false, false, false]],
    ['without exclusions', { enabled: true, excluded: [], names: NAMES }, [true, true, true]],
    ['without names', { enabled: true, excluded: ['gripper'], names: undefined }, [true, true, true]],
    [
      'a word within a name',
      { enabled: true, excluded: ['GRIP'], names: ['a', 'b', 'left_gripper.pos'] },
      [true, true, false],
    ],
    ['a word in several names', { enabled: true, excluded: ['l'], names: NAMES }, [false, false, true]],
    ['an empty word', { enabled: true, excluded: [''], names: NAMES }, [true, true, true]],
    ['fewer names than actions', { enabled: true, excluded: ['elbow'], names: ['elbow'] }, [false, true, true]],
    [
      'a joint whose own name is another',
      { enabled: true, excluded: ['j2'], names: ['j1', 'j2', 'j3'] },
      [true, false, true],
    ],
  ])('%s', (_, settings, expected) => {
    expect(relativeActions(settings, 3)).toEqual(expected);
  });
});

describe('kinds', () => {
  test('agree_with_the_checkpoint', () => {
    expect(problemsOf('position', 'velocity', 'position')).toEqual([]);
    write({ enabled: true, exclude_joints: ['gripper'], action_names: NAMES });
    expect(problemsOf('delta', 'delta', 'position')).toEqual([]);
    write({ enabled: true, exclude_joints: [], action_names: NAMES });
    expect(problemsOf('delta', 'delta', 'delta')).toEqual([]);
  });

  test('a_joint_that_is_relative_has_to_be_a_delta', () => {
    write({ enabled: true, exclude_joints: ['gripper'], action_names: null });
    expect(problemsOf('delta', 'delta', 'position')).toEqual([
      "CONFIG_RANGE: Expected kind delta for action joints whose actions are relative to the state in the checkpoint's training " +
        '(relative actions are enabled, and exclude_joints gripper has no effect without action_names), received position for gripper',
    ]);
    expect(problemsOf('velocity', 'delta', 'delta')).toEqual([
      expect.stringMatching(/received velocity for shoulder$/),
    ]);
  });

  test('a_joint_that_is_not_relative_must_not_be_a_delta', () => {
    expect(problemsOf('delta', 'position', 'delta')).toEqual([
      "CONFIG_RANGE: Expected kind position or velocity for action joints whose actions are not relative to the state in the checkpoint's " +
        'training (relative actions are not enabled), received delta for shoulder, delta for gripper',
    ]);
    write({ enabled: true, exclude_joints: ['grip'], action_names: NAMES });
    expect(problemsOf('delta', 'delta', 'delta')).toEqual([
      expect.stringMatching(
        /without the names that contain grip: action_names are shoulder, elbow, gripper\), received delta for gripper$/,
      ),
    ]);
  });

  test('processors_that_contradict_each_other_are_refused', () => {
    write({ enabled: true }, false);
    expect(problemsOf('delta', 'delta', 'delta')).toEqual([
      expect.stringMatching(
        /^CHECKPOINT_STATS: .* received enabled in policy_preprocessor.json and not enabled in policy_postprocessor.json$/,
      ),
    ]);
  });

  test('config_json_counts_where_the_processors_have_no_such_steps', () => {
    for (const name of ['policy_preprocessor.json', 'policy_postprocessor.json'] as const) {
      edit(name, (json) => {
        json.steps = json.steps.filter(({ registry_name: step }) => !step.endsWith('_actions_processor'));
      });
    }
    edit('config.json', (json) => (json['use_relative_actions'] = true));
    expect(problemsOf('delta', 'delta', 'position')).toEqual([expect.stringMatching(/received position for gripper$/)]);
    edit('config.json', (json) => delete json['use_relative_actions']);
    expect(problemsOf('delta', 'delta', 'position')).toEqual([]);
  });

  test('the_state_is_added_by_its_index', () => {
    write({ enabled: true, exclude_joints: [] });
    const problems = new Problems();
    const config = policyConfig(2, {
      action: { bound: 'none', joints: ['a', 'b'].map((name) => actionJoint(name, { kind: 'delta' })) },
      state: { ...policyConfig(2).state, joints: ['b', 'a'].map((name) => stateJoint(name)) },
    });
    checkRelativeActions(directory, config, problems);
    expect(problems.list.map(({ message }) => message)).toEqual([
      'Expected joints with relative actions at the same place in state.joints as in action.joints, since LeRobot adds the state by its ' +
        'index, received another place for a, b',
    ]);
  });
});
