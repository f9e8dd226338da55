import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ActionConfig, PolicyConfig } from '../../../src/config/config.js';
import type { ProblemsError } from '../../../src/config/problems.js';
import type { Observation, Pixels, View } from '../../../src/frame/frame.js';
import type { PolicyModel } from '../../../src/policy/model.js';
import { Policy } from '../../../src/policy/policy.js';
import { readSafetensors } from '../../../src/safetensors.js';
import { fixture } from '../root.js';
import { actionJoint, jointNames, policyConfig, stateJoint, TINY_MODEL } from './config.js';
import { readFixture } from './fixtures.js';

const LEROBOT = fixture('pi05', 'tiny-lerobot');
const OPENPI_MODEL: PolicyModel = { ...TINY_MODEL, family: 'openpi' };

function view(camera: string, slot: View['slot'], fill: number): View {
  const data = new Uint8Array(12).fill(fill);
  const fingerprint = { hash: BigInt(fill), uniform: true };
  return { camera, slot, frame: { width: 2, height: 2, step: 6, encoding: 'rgb8', data, stamp: 1n, fingerprint } };
}

function observation(changes: Partial<Observation> = {}): Observation {
  return {
    stamp: 1_763_700_000_000_000_000n,
    views: [view('front', 'base_0_rgb', 1), view('wrist', 'left_wrist_0_rgb', 2)],
    state: new Float64Array(7),
    prompt: 'pick up the red cube',
    ...changes,
  };
}

async function problemsOf(directory: string, model: PolicyModel, config: PolicyConfig): Promise<string[]> {
  try {
    await Policy.load(directory, model, config);
  } catch (error) {
    return (error as ProblemsError).problems.map(({ code, message }) => `${code}: ${message}`);
  }
  return [];
}

describe("LeRobot's case from end to end", () => {
  const example = readFixture<{ task: string; prompt: string; tokens: number[]; state_raw: number[] }>(
    'tiny-lerobot/case_two_cameras.json',
  );
  const tensors = readSafetensors(join(LEROBOT, 'case_two_cameras.safetensors')).tensors;
  const float32 = (name: string): Float32Array => tensors.get(name)?.data as Float32Array;
  const given = observation({ prompt: example.task, state: Float64Array.from(example.state_raw) });
  let policy: Policy;
  beforeAll(async () => {
    policy = await Policy.load(LEROBOT, TINY_MODEL, policyConfig(7));
  });

  test('task_and_state_become_its_tokens', () => {
    expect([...policy.prepare(given).tokens]).toEqual(example.tokens);
  });

  test('its_actions_become_its_robot_values', () => {
    const chunk = policy.finish(float32('actions'), given);
    expect(chunk.values).toEqual(Float64Array.from(float32('actions_robot')));
    expect(chunk).toMatchObject({ stamp: given.stamp, joints: jointNames(7), rows: 10, period: 0.05 });
  });

  test('each_camera_fills_its_slot_and_the_third_slot_is_empty', () => {
    const images: readonly (Pixels | undefined)[] = policy.prepare(given).images;
    expect(images.map((image) => image?.data[0])).toEqual([1, 2, undefined]);
  });

  test('views_in_another_order_fill_the_same_slots', () => {
    const images = policy.prepare({ ...given, views: [...given.views].reverse() }).images;
    expect(images.map((image) => image?.data[0])).toEqual([1, 2, undefined]);
  });

  test('noise_follows_stamp_and_seed_and_fills_the_model', async () => {
    const { noise } = policy.prepare(given);
    expect(noise.length).toBe(10 * 32);
    expect(policy.prepare(given).noise).toEqual(noise);
    expect(policy.prepare({ ...given, stamp: given.stamp + 1n }).noise).not.toEqual(noise);
    const other = await Policy.load(LEROBOT, TINY_MODEL, policyConfig(7, { seed: 1n }));
    expect(other.prepare(given).noise).not.toEqual(noise);
  });

  test.each(['', ' \n\t', '_', '\u3000'])('refuses_the_prompt_%j_as_empty', (prompt) => {
    expect(() => policy.prepare({ ...given, prompt })).toThrow(
      expect.objectContaining({ code: 'PROMPT_EMPTY', source: 'prompt' }),
    );
  });

  test('refuses_a_prompt_that_the_reference_would_truncate_and_reports_both_lengths', () => {
    const prompt = 'q'.repeat(60);
    let refusal: unknown;
    try {
      policy.prepare({ ...given, prompt });
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code: 'PROMPT_TOO_LONG', source: 'prompt' });
    expect((refusal as Error).message).toMatch(
      /^Expected at most 48 tokens, received \d\d from a prompt of 60 characters and 7 state numbers \(prompt\)$/,
    );
  });

  test('refuses_a_prompt_of_a_hundred_kilobytes_without_tokenising_it', () => {
    const prompt = 'pick up the red block '.repeat(5000);
    expect(() => policy.prepare({ ...given, prompt })).toThrow(
      expect.objectContaining({
        code: 'PROMPT_TOO_LONG',
        message: expect.stringMatching(
          /^Expected at most 48 tokens, received \d+ or more from a prompt of 110000 characters/,
        ),
      }),
    );
  });

  test('accepts_a_prompt_of_exactly_the_largest_length', async () => {
    const { length } = example.tokens;
    const fits = await Policy.load(LEROBOT, { ...TINY_MODEL, maxTokens: length }, policyConfig(7));
    expect(fits.prepare(given).tokens.length).toBe(length);
    const tight = await Policy.load(LEROBOT, { ...TINY_MODEL, maxTokens: length - 1 }, policyConfig(7));
    expect(() => tight.prepare(given)).toThrow(expect.objectContaining({ code: 'PROMPT_TOO_LONG' }));
  });

  test('rejects_actions_of_another_size', () => {
    expect(() => policy.finish(new Float32Array(7), given)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

describe('an openpi checkpoint', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pi05-policy-'));
    copyFileSync(join(LEROBOT, 'tokenizer', 'tokenizer.json'), join(directory, 'tokenizer.json'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const row = (length: number, value: number): number[] => new Array<number>(length).fill(value);
  function writeStatistics(statistics: unknown, assetId = 'robot'): void {
    const path = join(directory, 'assets', assetId, 'norm_stats.json');
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify({ norm_stats: statistics }));
  }
  const range = (length: number, low = -1, high = 1): object => ({ q01: row(length, low), q99: row(length, high) });
  const ACTIONS = Float32Array.from({ length: 10 * 32 }, (_, index) => Math.sin(index));

  test('uses_the_first_of_longer_statistics_as_openpi_does', async () => {
    const padding = row(29, 0);
    const actions = { q01: [...row(3, 0), ...padding], q99: [...row(3, 2), ...padding] };
    writeStatistics({ state: range(32), actions }, 'physical/arm');
    const policy = await Policy.load(directory, OPENPI_MODEL, policyConfig(3));
    const given = observation({ state: Float64Array.of(0, 2, -2) });
    expect(policy.prepare(given).tokens.length).toBeGreaterThan(0);
    const { values } = policy.finish(ACTIONS, given);
    expect(values.length).toBe(30);
    // (x + 1) / 2 × (2 − 0 + 1e-6) + 0, the sum in float32
    expect(values[4]).toBe((Math.fround((ACTIONS[33] ?? NaN) + 1) / 2) * 2.000001);
  });

  test('with_statistics_of_more_joints_than_the_robot_has_is_rejected', async () => {
    writeStatistics({ state: range(8, 0, 2), actions: range(9, 0, 2) });
    expect(await problemsOf(directory, OPENPI_MODEL, policyConfig(7))).toEqual([
      'CHECKPOINT_STATS: Expected 8 names in state.joints, one for each number that the checkpoint was trained with, received 7',
      'CHECKPOINT_STATS: Expected 9 names in action.joints, one for each number that the checkpoint was trained with, received 7',
    ]);
  });

  test('needs_no_state_statistics_where_the_prompt_holds_no_state', async () => {
    writeStatistics({ actions: range(7) });
    const model = { ...OPENPI_MODEL, stateInPrompt: false };
    const state = { ...policyConfig(7).state, mode: 'none' as const, joints: [] };
    const policy = await Policy.load(directory, model, policyConfig(7, { state }));
    const { tokens } = policy.prepare(observation({ state: new Float64Array(0) }));
    const withState = await Policy.load(LEROBOT, TINY_MODEL, policyConfig(7));
    expect(tokens.length).toBeLessThan(withState.prepare(observation()).tokens.length);
    expect(tokens[0]).toBe(2);
  });

  test('moves_the_joints_that_are_configured', async () => {
    writeStatistics({ state: range(3), actions: range(3) });
    const action: ActionConfig = {
      bound: 'clip',
      joints: [
        actionJoint('joint1', { scale: 3 }),
        actionJoint('joint2', { kind: 'delta', scale: 2, offset: 1 }),
        actionJoint('joint3', { kind: 'position', gripper: true, binarize: 0.5, scale: -0.04, offset: 0.04 }),
      ],
    };
    const state = {
      ...policyConfig(3).state,
      joints: [stateJoint('joint2', { scale: 2, offset: 1 }), stateJoint('joint1'), stateJoint('joint3')],
    };
    const policy = await Policy.load(directory, OPENPI_MODEL, policyConfig(3, { action, state }));
    const actions = new Float32Array(10 * 32);
    actions.set([1.5, 0.25, 0.75], 0);
    actions.set([-0.5, -0.25, 0.25], 32);
    const { values } = policy.finish(actions, observation({ state: Float64Array.of(10, 20, 30) }));
    const expected = [3, (0.25 + 10) * 2 + 1, 0, -1.5, (-0.25 + 10) * 2 + 1, 0.04];
    expected.forEach((value, i) => expect(values[i]).toBeCloseTo(value, 4));
    expect(values[0]).toBe(3);
    expect(values[2]).toBe(0);
    expect(values[5]).toBe(0.04);
  });

  test('without_statistics_is_rejected_with_everything_else_that_is_wrong', async () => {
    rmSync(join(directory, 'tokenizer.json'));
    const schedule = { ...policyConfig(33).schedule, replanSteps: 11 };
    const config = policyConfig(33, { schedule, state: { ...policyConfig(1).state, mode: 'none', joints: [] } });
    expect(await problemsOf(directory, { ...OPENPI_MODEL, slots: 1 }, config)).toEqual([
      "CONFIG_RANGE: Expected one of the checkpoint's slots base_0_rgb for the camera wrist, received left_wrist_0_rgb",
      "CONFIG_RANGE: Expected at most the checkpoint's 32 actions in action.joints, received 33",
      "CONFIG_RANGE: Expected schedule.replan_steps up to the checkpoint's horizon of 10, received 11",
      'CONFIG_RANGE: Expected state.mode joints for a checkpoint with the state in its prompt, received none',
      `CHECKPOINT_STATS: Expected statistics in assets/<asset_id>/norm_stats.json, received none in ${directory}/assets`,
      `CHECKPOINT_TOKENIZER: Expected tokenizer.json or tokenizer/tokenizer.json in ${directory}, received neither ` +
        "(put PaliGemma's or Gemma's tokenizer.json there)",
    ]);
  });

  test('of_several_statistics_asset_id_names_one', async () => {
    writeStatistics({ state: range(7), actions: range(7) }, 'droid');
    writeStatistics({ state: range(3), actions: range(3) }, 'trossen');
    expect(await problemsOf(directory, OPENPI_MODEL, policyConfig(7))).toEqual([
      `CHECKPOINT_STATS: Expected asset_id to name one of several statistics, received droid, trossen in ${directory}/assets`,
    ]);
    expect(await problemsOf(directory, OPENPI_MODEL, policyConfig(7, { assetId: 'libero' }))).toEqual([
      `CHECKPOINT_STATS: Expected statistics for asset_id libero, received droid, trossen in ${directory}/assets (choose one of them with asset_id)`,
    ]);
    expect(await problemsOf(directory, OPENPI_MODEL, policyConfig(7, { assetId: 'droid' }))).toEqual([]);
  });

  test.each<[string, unknown, readonly string[]]>([
    [
      'missing_quantiles',
      { state: { mean: row(7, 0), std: row(7, 1) }, actions: { q01: row(7, -1) } },
      [
        'a list of finite numbers for norm_stats.state.q01, received nothing',
        'a list of finite numbers for norm_stats.state.q99, received nothing',
        'a list of finite numbers for norm_stats.actions.q99, received nothing',
      ],
    ],
    [
      'numbers_that_are_none',
      { state: { q01: [null, ...row(6, 0)], q99: row(7, 1) }, actions: range(7) },
      ['a list of finite numbers for norm_stats.state.q01, received NaN at index 0'],
    ],
    [
      'lengths_that_differ',
      { state: { q01: row(7, 0), q99: row(6, 1) }, actions: range(7) },
      ['as many numbers in norm_stats.state.q01 as in q99, received 7 and 6'],
    ],
  ])('with_%s_is_rejected', async (_, statistics, sentences) => {
    writeStatistics(statistics);
    const path = join(directory, 'assets', 'robot', 'norm_stats.json');
    expect(await problemsOf(directory, OPENPI_MODEL, policyConfig(7))).toEqual(
      sentences.map((sentence) => `CHECKPOINT_STATS: Expected ${sentence} from ${path}`),
    );
  });

  test('with_fewer_statistics_than_joints_is_rejected', async () => {
    writeStatistics({ state: range(6), actions: range(5) });
    expect(await problemsOf(directory, OPENPI_MODEL, policyConfig(7))).toEqual([
      'CHECKPOINT_STATS: Expected up to 6 names in state.joints, as many as the checkpoint has statistics for, received 7',
      'CHECKPOINT_STATS: Expected up to 5 names in action.joints, as many as the checkpoint has statistics for, received 7',
    ]);
  });

  test('with_more_tokens_than_the_model_is_rejected', async () => {
    writeStatistics({ state: range(7), actions: range(7) });
    expect(await problemsOf(directory, { ...OPENPI_MODEL, vocab: 511 }, policyConfig(7))).toEqual([
      `CHECKPOINT_TOKENIZER: Expected a tokenizer of up to the model's 511 tokens, received 512 from ${directory}`,
    ]);
  });
});

describe('a LeRobot checkpoint', () => {
  let directory: string;
  const files = ['policy_preprocessor.json', 'policy_postprocessor.json'] as const;
  const states = [
    'policy_preprocessor_step_3_normalizer_processor.safetensors',
    'policy_postprocessor_step_0_unnormalizer_processor.safetensors',
  ] as const;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pi05-policy-'));
    mkdirSync(join(directory, 'tokenizer'));
    for (const name of [...files, ...states, 'tokenizer/tokenizer.json']) {
      copyFileSync(join(LEROBOT, name), join(directory, name));
    }
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  interface Processor {
    steps: { registry_name: string; config: Record<string, unknown>; artifacts?: Record<string, string> }[];
  }
  function change(name: (typeof files)[number], step: string, edit: (step: Processor['steps'][number]) => void): void {
    const processor = readFixture<Processor>(`tiny-lerobot/${name}`);
    const found = processor.steps.find((candidate) => candidate.registry_name === step);
    if (found === undefined) throw new Error(`no step ${step}`);
    edit(found);
    writeFileSync(join(directory, name), JSON.stringify(processor));
  }

  test('uses_mean_and_deviation_where_its_processors_say_so', async () => {
    change('policy_postprocessor.json', 'unnormalizer_processor', (step) => {
      step.config['norm_map'] = { ACTION: 'MEAN_STD' };
    });
    const policy = await Policy.load(directory, TINY_MODEL, policyConfig(7));
    const file = readSafetensors(join(directory, states[1]));
    const { values } = policy.finish(new Float32Array(320), observation());
    expect([...values.slice(0, 7)]).toEqual([...(file.tensors.get('action.mean')?.data as Float32Array)]);
  });

  test('leaves_actions_alone_where_its_processors_say_so', async () => {
    change('policy_postprocessor.json', 'unnormalizer_processor', (step) => {
      step.config['norm_map'] = { ACTION: 'IDENTITY' };
    });
    const policy = await Policy.load(directory, TINY_MODEL, policyConfig(7));
    expect(policy.finish(new Float32Array(320).fill(0.5), observation()).values[6]).toBe(0.5);
  });

  test.each([
    ['MIN_MAX', 'MIN_MAX'],
    [undefined, 'nothing'],
  ])('with_the_mode_%s_is_rejected', async (mode, received) => {
    change('policy_preprocessor.json', 'normalizer_processor', (step) => {
      step.config['norm_map'] = mode === undefined ? {} : { STATE: mode };
    });
    expect(await problemsOf(directory, TINY_MODEL, policyConfig(7))).toEqual([
      `CHECKPOINT_STATS: Expected QUANTILES, MEAN_STD or IDENTITY for STATE in norm_map, received ${received} from ` +
        join(directory, files[0]),
    ]);
  });

  test('without_statistics_is_rejected_for_each_file', async () => {
    rmSync(join(directory, files[0]));
    rmSync(join(directory, states[1]));
    const problems = await problemsOf(directory, TINY_MODEL, policyConfig(7));
    expect(problems.map((problem) => problem.split(',')[0])).toEqual([
      `CHECKPOINT_STATS: Expected LeRobot's processor steps in ${join(directory, files[0])}`,
      `CHECKPOINT_STATS: Expected statistics in ${states[1]}`,
    ]);
  });

  test.each([6, 8])('rejects_%i_joints_for_statistics_of_7', async (count) => {
    expect(await problemsOf(directory, TINY_MODEL, policyConfig(count))).toEqual(
      ['state.joints', 'action.joints'].map(
        (list) =>
          `CHECKPOINT_STATS: Expected 7 names in ${list}, as many as the checkpoint has statistics for, ` +
          `received ${String(count)}`,
      ),
    );
  });

  test('with_relative_actions_requires_deltas', async () => {
    change('policy_preprocessor.json', 'relative_actions_processor', (step) => {
      step.config['enabled'] = true;
    });
    change('policy_postprocessor.json', 'absolute_actions_processor', (step) => {
      step.config['enabled'] = true;
    });
    expect(await problemsOf(directory, TINY_MODEL, policyConfig(7))).toEqual([
      expect.stringMatching(/^CONFIG_RANGE: Expected kind delta for action joints .* received velocity for joint1, /),
    ]);
  });

  test('names_the_tokenizer_that_it_lacks', async () => {
    rmSync(join(directory, 'tokenizer'), { recursive: true });
    change('policy_preprocessor.json', 'tokenizer_processor', (step) => {
      step.config['tokenizer_name'] = 'google/paligemma-3b-pt-224';
      delete step.artifacts;
    });
    expect(await problemsOf(directory, TINY_MODEL, policyConfig(7))).toEqual([
      `CHECKPOINT_TOKENIZER: Expected tokenizer.json or tokenizer/tokenizer.json in ${directory}, received neither ` +
        '(the checkpoint was trained with google/paligemma-3b-pt-224: put its tokenizer.json there)',
    ]);
  });

  test('has_no_asset_id', async () => {
    expect(await problemsOf(directory, TINY_MODEL, policyConfig(7, { assetId: 'droid' }))).toEqual([
      'CONFIG_RANGE: Expected no asset_id for a LeRobot checkpoint, received droid',
    ]);
  });
});
