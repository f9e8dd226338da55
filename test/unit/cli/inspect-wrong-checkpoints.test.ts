/** Checkpoints that are not what was meant, or that leave something open: `pi05 inspect` and loading say the same. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Inspection } from '../../../src/cli/inspection.js';
import { configFromFile } from '../../../src/config/file.js';
import type { PolicyConfig } from '../../../src/config/config.js';
import { Pi05Error } from '../../../src/errors.js';
import { loadPolicy } from '../../../src/pipeline/load.js';
import { fixture, packageRoot } from '../root.js';
import { actionJoint, policyConfig, stateJoint } from '../policy/config.js';
import { pi05 } from './pi05.js';

const LEROBOT = fixture('pi05', 'tiny-lerobot');
const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-wrong-'));
  cpSync(LEROBOT, directory, { recursive: true, filter: (path) => !path.includes('case_') });
  rmSync(join(directory, 'pi05_model.json'));
  const model = JSON.parse(readFileSync(join(LEROBOT, 'pi05_model.json'), 'utf8')) as object;
  write('pi05_model.json', JSON.stringify({ ...model, max_token_len: 200 }));
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(name: string, text: string): void {
  mkdirSync(dirname(join(directory, name)), { recursive: true });
  rmSync(join(directory, name), { force: true });
  writeFileSync(join(directory, name), text);
}

type Json = Record<string, unknown>;
function edit(name: string, change: (json: Json) => void): void {
  const json = JSON.parse(readFileSync(join(directory, name), 'utf8')) as Json;
  change(json);
  write(name, JSON.stringify(json));
}

async function inspect(...flags: string[]): Promise<{ code: number | null; inspection: Inspection }> {
  const { code, stdout } = await pi05('inspect', directory, '--json', ...flags);
  return { code, inspection: JSON.parse(stdout) as Inspection };
}

/** What loading throws; empty where it loads. */
async function loading(changes: Partial<PolicyConfig> = {}): Promise<string> {
  try {
    const { engine, policy } = await loadPolicy(policyConfig(7, { checkpoint: directory, threads: 1, ...changes }));
    await policy.close();
    await engine.close();
    return '';
  } catch (error) {
    if (!(error instanceof Pi05Error)) throw error;
    return error.toString();
  }
}

/** As LeRobot 0.4 and 0.5.0 leave it. */
function withoutNewerMarks(): void {
  edit('config.json', (json) => delete json['use_relative_actions']);
  for (const name of ['policy_preprocessor.json', 'policy_postprocessor.json']) {
    edit(name, (json) => {
      json['steps'] = (json['steps'] as { registry_name: string }[]).filter(
        ({ registry_name: step }) => !step.endsWith('_actions_processor'),
      );
    });
  }
}

const POSITIONS = {
  action: {
    bound: 'none',
    joints: Array.from({ length: 7 }, (_, i) => actionJoint(`joint${i + 1}`, { kind: 'position' })),
  },
} as const;

describe('the version of LeRobot', () => {
  test('is_asked_for_where_nothing_shows_it', async () => {
    withoutNewerMarks();
    const { code, inspection } = await inspect();
    expect([code, inspection.problems.map((problem) => problem.code)]).toEqual([2, ['CHECKPOINT_AMBIGUOUS']]);
    expect(inspection.problems[0]?.message).toMatch(
      /may have been padded with zeros to 32 numbers.*"lerobot_version": "before_0\.5"/,
    );
    expect(inspection.presets.some(({ fits }) => fits)).toBe(false);
    expect(await loading()).toBe(`CHECKPOINT_AMBIGUOUS: ${inspection.problems[0]?.message ?? ''}`);
  });

  test('before_0_5_pads_the_state_in_the_prompt', async () => {
    withoutNewerMarks();
    const load = () => loadPolicy(policyConfig(7, { checkpoint: directory, threads: 1 }));
    const observation = { stamp: 1n, views: [], state: new Float64Array(7), prompt: 'pick up the block' };
    const tokens: number[] = [];
    for (const version of ['from_0.5', 'before_0.5']) {
      edit('pi05_model.json', (json) => (json['lerobot_version'] = version));
      const { engine, policy } = await load();
      tokens.push(policy.prepare(observation).tokens.length);
      await policy.close();
      await engine.close();
    }
    const [own = 0, padded = 0] = tokens;
    expect(padded - own).toBe(25); // " 128" is a token of the fixture's tokenizer
    const { code, inspection } = await inspect();
    expect([code, inspection.model.paddedState, inspection.model.resize]).toEqual([0, 32, 'lerobot_before_0.5']);
    expect((await pi05('inspect', directory)).stdout).toMatch(/with the state in them, padded to 32 numbers/);
  });
});

test('an_unknown_horizon_is_no_number', async () => {
  edit('config.json', (json) => delete json['chunk_size']);
  edit('pi05_model.json', (json) => delete (json['action'] as Json)['horizon']);
  const { code, inspection } = await inspect();
  expect([code, inspection.model.horizon]).toEqual([2, 0]);
  expect(inspection.problems.map((problem) => problem.code)).toEqual(['CHECKPOINT_AMBIGUOUS']);
  expect(inspection.presets.flatMap(({ reasons }) => reasons.map(({ message }) => message)).join()).not.toMatch(
    /replan_steps/,
  );
  expect((await pi05('inspect', directory)).stdout).toMatch(/an unknown number of steps a chunk/);
  expect(await loading()).toMatch(/^CHECKPOINT_AMBIGUOUS: Expected the action horizon/);
});

test('no_preset_fits_a_directory_without_weights', async () => {
  rmSync(join(directory, 'model.safetensors'));
  const { code, inspection } = await inspect();
  expect(code).toBe(2);
  expect(inspection.presets.filter(({ fits }) => fits)).toEqual([]);
  expect((await pi05('inspect', directory)).stdout).toMatch(/ {2}the problems below\n/);
});

test('more_cameras_than_the_model_takes_are_refused_by_both', async () => {
  edit('config.json', (json) => {
    for (const name of ['side', 'top']) {
      (json['input_features'] as Json)[`observation.images.${name}`] = { type: 'VISUAL', shape: [3, 224, 224] };
    }
  });
  const sentence =
    `CHECKPOINT_TENSORS: Expected at most 3 cameras, as many as the model takes, received 4 in ${join(directory, 'config.json')}: ` +
    'observation.images.front, observation.images.wrist, observation.images.side, observation.images.top';
  const { code, stdout } = await pi05(
    'inspect',
    directory,
    '--params',
    join(packageRoot, 'configs', 'pi05_droid.yaml'),
  );
  expect(code).toBe(2);
  expect(stdout).toContain(sentence);
  expect(stdout).not.toContain('undefined');
  expect(await loading()).toBe(sentence);
});

test('cameras_in_other_slots_than_the_trained_ones_are_refused_by_loading_too', async () => {
  const [front] = policyConfig(7).cameras;
  expect(await loading({ cameras: [front!] })).toMatch(/^CONFIG_RANGE: Expected 2 cameras, .*received base_0_rgb$/);
});

test('kinds_that_contradict_the_relative_actions_are_refused_by_loading', async () => {
  expect(await loading(POSITIONS)).toBe('');
  const joints = POSITIONS.action.joints.map((joint, i) => (i === 6 ? { ...joint, kind: 'delta' as const } : joint));
  const state = { ...policyConfig(7).state, joints: joints.map(({ name }) => stateJoint(name)) };
  expect(await loading({ action: { bound: 'none', joints }, state })).toMatch(
    /^CONFIG_RANGE: .* received delta for joint7$/,
  );
});

describe('a Git LFS pointer', () => {
  test.each([
    'model.safetensors',
    'config.json',
    'pi05_model.json',
    'policy_preprocessor.json',
    'policy_postprocessor_step_0_unnormalizer_processor.safetensors',
    'tokenizer/tokenizer.json',
  ])('%s', async (name) => {
    write(name, POINTER);
    const { code, inspection } = await inspect();
    const sentence = `Expected the contents of ${join(directory, name)}, received a Git LFS pointer: fetch the file itself with \`git lfs pull\``;
    expect(code).toBe(2);
    expect(inspection.problems).toContainEqual({ code: 'CHECKPOINT_MISSING', message: sentence, details: [] });
    expect(await loading()).toContain(`CHECKPOINT_MISSING: ${sentence}`);
  });

  test('statistics_of_openpi_and_a_sentencepiece_model', async () => {
    edit('pi05_model.json', (json) => (json['family'] = 'openpi'));
    write('assets/droid/norm_stats.json', POINTER);
    rmSync(join(directory, 'tokenizer'), { recursive: true });
    write('tokenizer.model', POINTER);
    const { inspection } = await inspect();
    expect(inspection.problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/norm_stats\.json, received a Git LFS pointer/),
      expect.stringMatching(/tokenizer\.model is a Git LFS pointer, which `git lfs pull` replaces$/),
    ]);
  });
});

test('a_parameter_file_that_fits_still_needs_a_checkpoint_without_problems', async () => {
  const droid = join(packageRoot, 'configs', 'pi05_droid.yaml');
  expect(configFromFile(droid).cameras.length).toBe(2);
  rmSync(join(directory, 'tokenizer'), { recursive: true });
  const { inspection } = await inspect('--params', droid);
  expect(inspection.presets[0]?.reasons.map(({ code }) => code)).toContain('CHECKPOINT_TOKENIZER');
});
