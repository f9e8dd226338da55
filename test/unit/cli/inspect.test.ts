import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Inspection } from '../../../src/cli/inspection.js';
import { readSafetensors, type SafetensorsTensor, writeSafetensors } from '../../../src/safetensors.js';
import { fixture, packageRoot } from '../root.js';
import { pi05 } from './pi05.js';

const OPENPI = fixture('pi05', 'tiny-openpi');
const LEROBOT = fixture('pi05', 'tiny-lerobot');
const LEROBOT_STATE = 'policy_preprocessor_step_3_normalizer_processor.safetensors';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-inspect-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function inspect(path: string, ...flags: string[]): Promise<{ code: number | null; inspection: Inspection }> {
  const { code, stdout, stderr } = await pi05('inspect', path, '--json', ...flags);
  expect(stderr).toBe('');
  return { code, inspection: JSON.parse(stdout) as Inspection };
}

/** Code and message of each problem, then its details. */
function problemLines({ problems }: Inspection): string[] {
  return problems.flatMap(({ code, message, details }) => [`${code}: ${message}`, ...details]);
}

function copy(from: string): void {
  cpSync(from, directory, { recursive: true, filter: (path) => !path.includes('case_') });
}

/** An openpi checkpoint with everything; `assets` by asset id. */
function openpi(assets: Readonly<Record<string, unknown>>, model: Readonly<Record<string, unknown>> = {}): void {
  copy(OPENPI);
  cpSync(join(LEROBOT, 'tokenizer', 'tokenizer.json'), join(directory, 'tokenizer.json'));
  const own = JSON.parse(readFileSync(join(OPENPI, 'pi05_model.json'), 'utf8')) as object;
  write('pi05_model.json', JSON.stringify({ ...own, max_token_len: 200, ...model }));
  for (const [id, statistics] of Object.entries(assets)) {
    write(`assets/${id}/norm_stats.json`, JSON.stringify({ norm_stats: statistics }));
  }
}

function write(name: string, text: string): void {
  mkdirSync(dirname(join(directory, name)), { recursive: true });
  rmSync(join(directory, name), { force: true });
  writeFileSync(join(directory, name), text);
}

function rewrite(name: string, edit: (tensors: Map<string, SafetensorsTensor>) => void): void {
  const { tensors, metadata } = readSafetensors(join(directory, name));
  edit(tensors);
  rmSync(join(directory, name));
  writeSafetensors(join(directory, name), tensors, metadata);
}

const row = (length: number, value: number): number[] => new Array<number>(length).fill(value);
const vector = (length: number): object => ({
  mean: row(length, 0),
  std: row(length, 1),
  q01: row(length, -0.5),
  q99: row(length, 0.8),
});

describe('a checkpoint that is fine', () => {
  test('is_described_with_family_dimensions_sizes_statistics_and_tokenizer', async () => {
    const { code, inspection } = await inspect(LEROBOT);
    expect([code, inspection.ok, inspection.problems]).toEqual([0, true, []]);
    expect(inspection.family).toEqual({ name: 'lerobot', reason: 'tensor names begin with "model."' });
    expect(inspection.model).toMatchObject({
      actionDim: 32,
      horizon: 10,
      maxTokens: 48,
      vocab: 512,
      stateInPrompt: true,
    });
    expect(inspection.model.prefix).toEqual({ width: 128, layers: 3 });
    expect(inspection.weights.parameters).toBeGreaterThan(1e6);
    expect(inspection.weights.dtypes.F32.bytes).toBe(inspection.weights.bytes);
    expect(
      inspection.statistics.map(({ state, actions }) => [state?.kind, state?.dimensions, actions?.dimensions]),
    ).toEqual([['quantile', 7, 7]]);
    expect(inspection.statistics[0]?.actions?.rows.q01?.length).toBe(7);
    expect(inspection.tokenizer).toMatchObject({ kind: 'BPE', vocab: 512, bos: 2 });
    expect(Object.keys(inspection)).toEqual(
      'directory ok family model rtc weights memory statistics tokenizer presets problems'.split(' '),
    );
  });

  test('is_described_in_lines_of_text', async () => {
    const { code, stdout } = await pi05('inspect', LEROBOT);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Checkpoint {2}\S+tiny-lerobot\n {12}lerobot: /);
    expect(stdout).toMatch(/\nProblems {4}none\n$/);
    expect(stdout).toMatch(/\nStatistics {2}state: 7 numbers, normalised by q01 and q99\n {27}q01 +q99 +mean +std\n/);
  });
});

describe('all problems are reported at once', () => {
  test('a_file_cut_short_in_one_sentence_with_both_sizes', async () => {
    copy(LEROBOT);
    const path = join(directory, 'model.safetensors');
    const { length } = readFileSync(path);
    truncateSync(path, length / 2);
    const { code, inspection } = await inspect(directory);
    expect(code).toBe(2);
    expect(problemLines(inspection)).toEqual([
      `CHECKPOINT_TENSORS: Expected a safetensors file, received ${path}: it is truncated: ${String(length / 2)} of the ` +
        `${String(length)} bytes that its header describes`,
    ]);
    expect([inspection.family.name, inspection.ok]).toEqual(['lerobot', false]);
  });

  test('missing_unknown_misshapen_and_wrongly_typed_tensors_statistics_and_tokenizer', async () => {
    copy(LEROBOT);
    rewrite('model.safetensors', (tensors) => {
      tensors.delete('model.action_out_proj.bias');
      tensors.set('model.extra', { dtype: 'F32', shape: [1], data: Float32Array.of(1) });
      tensors.set('model.action_in_proj.bias', { dtype: 'F32', shape: [3], data: new Float32Array(3) });
      tensors.set('model.time_mlp_in.bias', { dtype: 'I32', shape: [64], data: new Int32Array(64) });
    });
    rewrite(LEROBOT_STATE, (tensors) => {
      const { data } = tensors.get('observation.state.q99') as SafetensorsTensor & { dtype: 'F32' };
      data[3] = NaN;
    });
    write('tokenizer/tokenizer.json', '{"model": 3');
    const { code, inspection } = await inspect(directory);
    expect(code).toBe(2);
    expect(problemLines(inspection)).toEqual([
      expect.stringMatching(/^CHECKPOINT_TENSORS: Expected the 128 tensors .* 4 problems:$/),
      'model.action_in_proj.bias: expected shape [64], received [3]',
      'model.action_out_proj.bias: missing',
      'model.time_mlp_in.bias: expected F32, BF16 or F16, received I32',
      'model.extra: unknown (F32 [1])',
      `CHECKPOINT_STATS: Expected a row of finite numbers for observation.state.q99, received NaN at index 3 from ` +
        join(directory, LEROBOT_STATE),
      expect.stringMatching(/^CHECKPOINT_TOKENIZER: Expected a Hugging Face tokenizer in .*, received: /),
    ]);
  });

  test('statistics_of_the_wrong_length_or_order_and_numbers_that_are_none', async () => {
    openpi({
      first: { state: { ...vector(7), mean: row(6, 0) }, actions: vector(33) },
      second: { state: { ...vector(7), q99: row(7, -1) } },
    });
    write('assets/third/norm_stats.json', '{"norm_stats": {"state": {"q01": [NaN, 1], "q99": [1, Infinity]}}}');
    const { code, inspection } = await inspect(directory);
    expect(code).toBe(2);
    const from = (id: string): string => ` from ${join(directory, 'assets', id, 'norm_stats.json')}`;
    expect(problemLines(inspection)).toEqual([
      "CHECKPOINT_STATS: Expected statistics for up to the model's 32 actions, received 33",
      'CHECKPOINT_STATS: Expected as many finite numbers in norm_stats.state.mean as in its quantiles, received 6 numbers ' +
        `and 7 of q01${from('first')}`,
      'CHECKPOINT_STATS: Expected norm_stats.state.q99 at or above norm_stats.state.q01, received -1 and -0.5 at index 0 ' +
        `(and 6 more)${from('second')}`,
      `CHECKPOINT_STATS: Expected a list of finite numbers for norm_stats.actions.q01, received nothing${from('second')}`,
      `CHECKPOINT_STATS: Expected a list of finite numbers for norm_stats.actions.q99, received nothing${from('second')}`,
      `CHECKPOINT_STATS: Expected a list of finite numbers for norm_stats.state.q01, received NaN at index 0${from('third')}`,
      `CHECKPOINT_STATS: Expected a list of finite numbers for norm_stats.state.q99, received NaN at index 1${from('third')}`,
      `CHECKPOINT_STATS: Expected a list of finite numbers for norm_stats.actions.q01, received nothing${from('third')}`,
      `CHECKPOINT_STATS: Expected a list of finite numbers for norm_stats.actions.q99, received nothing${from('third')}`,
    ]);
  });

  test("lerobot_statistics_that_are_not_its_config's", async () => {
    copy(LEROBOT);
    const config = JSON.parse(readFileSync(join(LEROBOT, 'config.json'), 'utf8')) as {
      output_features: { action: { shape: number[] } };
    };
    config.output_features.action.shape = [6];
    write('config.json', JSON.stringify(config));
    const { code, inspection } = await inspect(directory);
    expect([code, problemLines(inspection)]).toEqual([
      2,
      [
        `CHECKPOINT_STATS: Expected statistics for the 6 numbers of the actions in ${join(directory, 'config.json')}, ` +
          'received 7',
      ],
    ]);
  });

  test('no_weights_no_statistics_no_tokenizer', async () => {
    const { code, inspection } = await inspect(directory);
    expect(code).toBe(2);
    expect(inspection.problems.map(({ code: name }) => name)).toEqual([
      'CHECKPOINT_MISSING',
      'CHECKPOINT_STATS',
      'CHECKPOINT_TOKENIZER',
    ]);
  });

  test('no_directory', async () => {
    const { code, stdout, stderr } = await pi05('inspect', join(directory, 'none'), '--json');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^CHECKPOINT_MISSING: Expected a checkpoint directory, received /);
  });
});

describe('which presets fit', () => {
  test.each<[string, string, object, object]>([
    ['pi05_aloha', 'trossen', { state: vector(14), actions: vector(14) }, { action: { dim: 32, horizon: 50 } }],
    [
      'pi05_libero',
      'physical-intelligence/libero',
      { state: vector(8), actions: vector(7) },
      { state_in_prompt: false },
    ],
  ])('%s_fits_a_checkpoint_that_was_made_for_it_and_no_other_does', async (name, assetId, statistics, model) => {
    openpi({ [assetId]: statistics }, model as Record<string, unknown>);
    const { code, inspection } = await inspect(directory);
    expect(code).toBe(0);
    expect(inspection.presets.filter(({ fits }) => fits).map((preset) => preset.name)).toEqual([name]);
    expect(inspection.presets.length).toBeGreaterThanOrEqual(5);
    for (const { fits, reasons } of inspection.presets) expect(reasons.length > 0).toBe(!fits);
  });

  test('both_of_droid_fit_a_droid_checkpoint_and_aloha_does_not_for_two_reasons', async () => {
    openpi({ droid: { state: vector(8), actions: vector(8) } });
    const { inspection } = await inspect(directory);
    expect(inspection.presets.filter(({ fits }) => fits).map(({ name }) => name)).toEqual([
      'demo',
      'pi05_droid',
      'pi05_droid_jointpos',
    ]);
    const aloha = inspection.presets.find(({ name }) => name === 'pi05_aloha');
    expect(aloha?.reasons.map(({ message }) => message)).toEqual([
      "Expected schedule.replan_steps up to the checkpoint's horizon of 10, received 25",
      `Expected statistics for asset_id trossen, received droid in ${join(directory, 'assets')} (choose one of them with asset_id)`,
    ]);
  });

  test('a_lerobot_checkpoint_needs_its_own_number_of_joints_and_its_own_cameras', async () => {
    const { inspection } = await inspect(LEROBOT);
    const aloha = inspection.presets.find(({ name }) => name === 'pi05_aloha');
    expect(aloha?.reasons.map(({ message }) => message)).toEqual([
      "Expected schedule.replan_steps up to the checkpoint's horizon of 10, received 25",
      'Expected no asset_id for a LeRobot checkpoint, received trossen',
      'Expected 7 names in state.joints, as many as the checkpoint has statistics for, received 14',
      'Expected 7 names in action.joints, as many as the checkpoint has statistics for, received 14',
      'Expected 2 cameras, for observation.images.front in base_0_rgb and observation.images.wrist in left_wrist_0_rgb, ' +
        'received base_0_rgb, left_wrist_0_rgb, right_wrist_0_rgb',
    ]);
  });

  test('a_robot_with_fewer_joints_than_the_checkpoint_was_trained_with_does_not', async () => {
    openpi({ arms: { state: vector(14), actions: vector(14) } });
    const { inspection } = await inspect(directory);
    const demo = inspection.presets.find(({ name }) => name === 'demo');
    expect(demo?.reasons.map(({ message }) => message)).toEqual([
      'Expected 14 names in state.joints, one for each number that the checkpoint was trained with, received 8',
      'Expected 14 names in action.joints, one for each number that the checkpoint was trained with, received 8',
    ]);
  });

  test('a_given_parameter_file_is_checked_instead_of_them', async () => {
    openpi({ droid: { state: vector(8), actions: vector(8) } });
    const droid = join(packageRoot, 'configs', 'pi05_droid.yaml');
    const good = await inspect(directory, '--params', droid);
    expect([good.code, good.inspection.presets.map(({ path, fits }) => [path, fits])]).toEqual([0, [[droid, true]]]);
    const own = join(directory, 'own.yaml');
    writeFileSync(own, readFileSync(droid, 'utf8').replace('type: float64_multi_array', 'type: array'));
    const old = await pi05('inspect', directory, '--json', '--params', own);
    expect([old.code, old.stderr.split('\n')]).toEqual([
      0,
      [
        expect.stringMatching(/^WARN: Expected "float64_multi_array" for outputs\.arm\.type, received .*"array" in /),
        '',
      ],
    ]);
    writeFileSync(own, readFileSync(droid, 'utf8').replace('replan_steps: 8', 'replan_step: 8'));
    const bad = await inspect(directory, '--params', own);
    expect([bad.code, bad.inspection.ok]).toEqual([2, true]);
    expect(bad.inspection.presets[0]?.reasons.map(({ code }) => code)).toEqual(['CONFIG_TYPE', 'CONFIG_UNKNOWN_KEY']);
  });
});
