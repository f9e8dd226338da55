import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, writeSafetensors, type SafetensorsTensor } from '../../../src/safetensors.js';
import { floats, readCaseTensors, relativeError } from '../engine/golden.js';
import { fixture } from '../root.js';
import { pi05 } from './pi05.js';

jest.setTimeout(120_000);

const checkpoint = fixture('pi05', 'tiny-openpi');
const name = 'case_two_cameras_short_prompt';
const golden = readCaseTensors('tiny-openpi', name);
let temporaryDirectory: string;
let out: string;
beforeAll(() => {
  temporaryDirectory = mkdtempSync(join(tmpdir(), 'pi05-infer-'));
  out = join(temporaryDirectory, 'out.safetensors');
});
afterAll(() => rmSync(temporaryDirectory, { recursive: true }));

const inputs = ['image_0', 'image_1', 'image_mask', 'tokens', 'noise'];

/** A case file of the golden inputs, with some of them changed or removed. */
function caseFile(
  change: Record<string, SafetensorsTensor | undefined> = {},
  metadata: Record<string, string> = {},
): string {
  const path = join(temporaryDirectory, 'case.safetensors');
  const given = new Map(inputs.map((key) => [key, golden.get(key)!]));
  for (const [key, tensor] of Object.entries(change)) {
    if (tensor === undefined) given.delete(key);
    else given.set(key, tensor);
  }
  writeSafetensors(path, given, metadata);
  return path;
}

function infer(path: string, ...more: string[]): ReturnType<typeof pi05> {
  return pi05('infer', '--checkpoint', checkpoint, '--case', path, '--out', out, ...more);
}

describe('pi05 infer', () => {
  test('gives_the_reference_actions_of_a_golden_case', async () => {
    const path = fixture('pi05', 'tiny-openpi', `${name}.safetensors`);
    const { code, stdout, stderr } = await infer(path, '--backend', 'cpu');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/out\.safetensors: actions \[10, 32\] in \d+\.\d ms\n$/);
    const { tensors } = readSafetensors(out);
    expect([...tensors.keys()]).toEqual(['actions']);
    expect(tensors.get('actions')?.shape).toEqual([10, 32]);
    expect(relativeError(floats(tensors, 'actions'), floats(golden, 'actions'))).toBeLessThanOrEqual(1e-5);
  });

  test('traces_the_intermediates_and_takes_other_steps', async () => {
    expect((await infer(caseFile(), '--trace', '--steps', '5')).code).toBe(0);
    const { tensors } = readSafetensors(out);
    const names = (prefix: string, ...ids: string[]) => ids.map((id) => `${prefix}_${id}`);
    const caches = [...names('prefix_k', '0', '1', 'last'), ...names('prefix_v', '0', '1', 'last')];
    const velocities = names('v_t', '0', '1', '2', '3', 'last');
    const expected = ['actions', ...caches, 'siglip_0', 'siglip_1', 'time_cond_0', ...velocities];
    expect([...tensors.keys()].sort()).toEqual(expected);
    expect(tensors.get('prefix_k_0')?.shape).toEqual(golden.get('prefix_k_0')?.shape);
    expect(relativeError(floats(tensors, 'actions'), floats(golden, 'actions_steps_5'))).toBeLessThanOrEqual(1e-5);
  });

  test('traces_a_single_step_as_the_first_and_the_last', async () => {
    expect((await infer(caseFile(), '--trace', '--steps', '1')).code).toBe(0);
    const { tensors } = readSafetensors(out);
    expect([...tensors.keys()].filter((key) => key.startsWith('v_t_')).sort()).toEqual(['v_t_0', 'v_t_last']);
    expect(floats(tensors, 'v_t_last')).toEqual(floats(tensors, 'v_t_0'));
  });

  test('ignores_the_image_of_a_masked_slot', async () => {
    const mask: SafetensorsTensor = { dtype: 'I32', shape: [3], data: Int32Array.of(1, 0, 0) };
    const noisy: SafetensorsTensor = { dtype: 'U8', shape: [3, 3, 3], data: new Uint8Array(27).fill(200) };
    const results: Float32Array[] = [];
    for (const image of [undefined, noisy]) {
      expect((await infer(caseFile({ image_mask: mask, image_1: image }))).code).toBe(0);
      results.push(floats(readSafetensors(out).tensors, 'actions'));
    }
    expect(results[1]).toEqual(results[0]);
  });

  test('combines_case_files_and_reads_rtc_from_flags', async () => {
    const lerobot = fixture('pi05', 'tiny-lerobot');
    const file = (stem: string): string => join(lerobot, `${stem}.safetensors`);
    const { code, stderr } = await pi05(
      ...['infer', '--checkpoint', lerobot, '--case', file('case_two_cameras')],
      ...['--case', file('case_two_cameras_rtc'), '--out', out, '--rtc', 'guided', '--rtc-schedule', 'exp'],
      ...['--rtc-delay', '3', '--rtc-horizon', '7', '--rtc-max-weight', '5'],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const expected = floats(readCaseTensors('tiny-lerobot', 'case_two_cameras_rtc'), 'guided_exp_actions');
    expect(relativeError(floats(readSafetensors(out).tensors, 'actions'), expected)).toBeLessThanOrEqual(1e-5);
  });

  test('reads_rtc_from_the_metadata', async () => {
    const lerobot = readCaseTensors('tiny-lerobot', 'case_two_cameras');
    const rtc = readCaseTensors('tiny-lerobot', 'case_two_cameras_rtc');
    const path = join(temporaryDirectory, 'rtc.safetensors');
    const tensors = [...inputs.map((key) => [key, lerobot.get(key)!] as const), ['prev_chunk', rtc.get('prev_chunk')!]];
    writeSafetensors(path, tensors as [string, SafetensorsTensor][], { rtc: 'trained', rtc_delay: '4' });
    const argv = ['infer', '--checkpoint', fixture('pi05', 'tiny-lerobot'), '--case', path, '--out', out];
    expect(await pi05(...argv)).toMatchObject({ code: 0, stderr: '' });
    const expected = floats(rtc, 'trained_delay_4_actions');
    expect(relativeError(floats(readSafetensors(out).tensors, 'actions'), expected)).toBeLessThanOrEqual(1e-5);
  });

  const tensor = (dtype: 'F32' | 'I32' | 'U8', ...shape: number[]): SafetensorsTensor => {
    const length = shape.reduce((product, n) => product * n, 1);
    if (dtype === 'F32') return { dtype, shape, data: new Float32Array(length) };
    if (dtype === 'I32') return { dtype, shape, data: new Int32Array(length).fill(1) };
    return { dtype, shape, data: new Uint8Array(length) };
  };
  test.each<[string, Record<string, SafetensorsTensor | undefined>, RegExp]>([
    ['without_noise', { noise: undefined }, /Expected noise F32 \[10, 32\], received none from .*case\.safetensors/],
    [
      'without_an_image_that_is_not_masked',
      { image_1: undefined },
      /Expected image_1 U8 \[height, width, 3\], received none/,
    ],
    [
      'with_integers_for_noise',
      { noise: tensor('I32', 10, 32) },
      /Expected noise F32 \[10, 32\], received I32 \[10, 32\]/,
    ],
    ['with_noise_of_another_horizon', { noise: tensor('F32', 15, 32) }, /received F32 \[15, 32\]/],
    ['with_a_mask_of_two_slots', { image_mask: tensor('I32', 2) }, /Expected image_mask I32 \[3\], received I32 \[2\]/],
    ['with_no_token', { tokens: tensor('I32', 0) }, /Expected tokens I32 \[n\], received I32 \[0\]/],
    ['with_planes_instead_of_pixels', { image_0: tensor('U8', 3, 224, 224) }, /received U8 \[3, 224, 224\]/],
    ['with_floats_for_an_image', { image_0: tensor('F32', 8, 8, 3) }, /Expected image_0 U8/],
    [
      'with_a_previous_chunk_but_no_mode',
      { prev_chunk: tensor('F32', 2, 32) },
      /Expected rtc .* together with prev_chunk/,
    ],
    ['with_a_mask_of_two', { image_mask: { dtype: 'I32', shape: [3], data: Int32Array.of(2, 0, 0) } }, /received 2/],
  ])('refuses_a_case_%s', async (_claim, change, sentence) => {
    const { code, stdout, stderr } = await infer(caseFile(change));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^INVALID_ARGUMENT: .*\n$/);
    expect(stderr).toMatch(sentence);
  });

  test.each<[string, string[], RegExp]>([
    ['an_unknown_flag', ['--speed', '9'], /^USAGE: Unknown option '--speed' \(see pi05 infer --help\)\n$/],
    [
      'steps_that_are_no_number',
      ['--steps', 'ten'],
      /^USAGE: Expected --steps as an integer of at least 1, received ten/,
    ],
    ['an_unknown_backend', ['--backend', 'tpu'], /^USAGE: Expected --backend auto\|cpu\|cuda, received tpu/],
    ['a_stray_argument', ['more'], /^USAGE: Unexpected argument 'more'/],
    ['rtc_without_a_previous_chunk', ['--rtc', 'trained'], /^INVALID_ARGUMENT: Expected prev_chunk F32 \[rows, 32\]/],
    ['an_unknown_rtc_mode', ['--rtc', 'magic'], /^INVALID_ARGUMENT: Expected rtc guided or trained, received magic/],
    ['an_rtc_flag_alone', ['--rtc-delay', '2'], /^INVALID_ARGUMENT: Expected rtc .* together with rtc-delay/],
  ])('refuses_%s', async (_claim, argv, sentence) => {
    const { code, stderr } = await infer(caseFile(), ...argv);
    expect(code).toBe(2);
    expect(stderr).toMatch(sentence);
  });

  test('refuses_a_checkpoint_that_is_not_there', async () => {
    const argv = ['infer', '--checkpoint', join(temporaryDirectory, 'absent'), '--case', caseFile(), '--out', out];
    const { code, stderr } = await pi05(...argv);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^CHECKPOINT_MISSING: /);
  });

  test('refuses_a_case_file_that_is_not_there_or_garbage', async () => {
    const garbage = join(temporaryDirectory, 'garbage');
    writeFileSync(garbage, 'garbage that is long enough');
    for (const path of [garbage, join(temporaryDirectory, 'absent')]) {
      const { code, stderr } = await infer(path);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^INVALID_ARGUMENT: Expected/);
    }
  });

  test('needs_a_case_a_checkpoint_and_an_output', async () => {
    for (const argv of [
      ['--case', 'x', '--out', 'y'],
      ['--checkpoint', 'x', '--out', 'y'],
      ['--checkpoint', 'x', '--case', 'y'],
    ]) {
      const { code, stderr } = await pi05('infer', ...argv);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^USAGE: Expected --\w+, received none/);
    }
  });
});
