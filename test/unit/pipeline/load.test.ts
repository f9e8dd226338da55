import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configFromFile } from '../../../src/config/file.js';
import { Pi05Error } from '../../../src/errors.js';
import { loadPolicy } from '../../../src/pipeline/load.js';
import { pi05 } from '../cli/pi05.js';
import { packageRoot } from '../root.js';

/** A parameter file and a checkpoint that load; each test changes one thing in a copy. */
const directory = mkdtempSync(join(tmpdir(), 'pi05-load-'));
const good = join(directory, 'good');
const preset = readFileSync(join(packageRoot, 'configs', 'pi05_droid.yaml'), 'utf8')
  .replace('checkpoints/pi05_droid #', 'CHECKPOINT #')
  .replace('asset_id: droid', 'asset_id: identity')
  .replace('backend: auto', 'backend: cpu')
  .replace('threads: 0', 'threads: 1');

beforeAll(async () => {
  expect(await pi05('make-checkpoint', good, '--size', 'tiny')).toMatchObject({ code: 0 });
});
afterAll(() => rmSync(directory, { recursive: true }));

/** The result of loading a changed copy: `loaded`, or the error's lines. */
async function outcome(
  breakFiles: (checkpoint: string) => void,
  breakParameters: (text: string) => string = (text) => text,
): Promise<string[]> {
  const copy = mkdtempSync(join(directory, 'copy-'));
  const [checkpoint, parameters] = [join(copy, 'checkpoint'), join(copy, 'robot.yaml')];
  cpSync(good, checkpoint, { recursive: true });
  writeFileSync(parameters, breakParameters(preset).replace('CHECKPOINT #', `${checkpoint} #`));
  breakFiles(checkpoint);
  try {
    const { engine } = await loadPolicy(configFromFile(parameters));
    await engine.close();
    return ['loaded'];
  } catch (error) {
    if (!(error instanceof Pi05Error)) throw error;
    return error.toString().replaceAll(checkpoint, 'DIR').replaceAll(parameters, 'FILE').split('\n');
  }
}

test('the_unchanged_files_load', async () => {
  expect(await outcome(() => {})).toEqual(['loaded']);
});

describe('a parameter file', () => {
  test.each<[string, RegExp | string, string, string]>([
    [
      'a misspelt key',
      'control_rate:',
      'control_rat:',
      'CONFIG_UNKNOWN_KEY: Expected a known parameter, received control_rat',
    ],
    [
      'an integer for a double',
      '15.0 # Hz',
      '15 # Hz',
      'CONFIG_TYPE: Expected a double for control_rate, received the integer 15',
    ],
    [
      'a value that is not a choice',
      'backend: cpu',
      'backend: gpu',
      'CONFIG_RANGE: Expected one of auto, cpu, cuda for backend',
    ],
    ['not a number', '15.0 # Hz', '.nan # Hz', 'CONFIG_RANGE: Expected a number above 0'],
    [
      'two cameras on one topic',
      'wrist_camera/image_raw',
      'exterior_camera/image_raw',
      'CAMERA_DUPLICATE: Expected a different topic for each camera',
    ],
    [
      'two cameras in one slot',
      'slot: left_wrist_0_rgb',
      'slot: base_0_rgb',
      'CONFIG_RANGE: Expected a different slot for each camera',
    ],
    [
      'a joint twice',
      / {10}panda_joint2,/,
      '          panda_joint1,',
      'CONFIG_RANGE: Expected each name once in state.joints, received panda_joint1 twice',
    ],
    [
      'limits the wrong way round',
      'lower: -2.9973, upper: 2.9973',
      'lower: 3.0, upper: -3.0',
      'CONFIG_RANGE: Expected state.panda_joint1.lower below',
    ],
    [
      'a list of more than one type',
      '[exterior, wrist]',
      '[exterior, 1]',
      'CONFIG_FILE: Expected values of one type in a list',
    ],
    ['no YAML', '/**:', '/**: [', 'CONFIG_FILE: Expected YAML in FILE'],
    ['for another node', '/**:', 'camera_node:', 'CONFIG_FILE: Expected parameters for policy_node'],
    ['without ros__parameters', 'ros__parameters:', 'parameters:', 'CONFIG_FILE: Expected '],
    [
      'more steps than a chunk has',
      'replan_steps: 8',
      'replan_steps: 16',
      "CONFIG_RANGE: Expected schedule.replan_steps up to the checkpoint's horizon of 15, received 16",
    ],
    [
      'statistics that are not there',
      'asset_id: identity',
      'asset_id: franka',
      'CHECKPOINT_STATS: Expected statistics for asset_id franka, received identity',
    ],
    [
      'a checkpoint that is not there',
      'CHECKPOINT #',
      '/nowhere #',
      'CHECKPOINT_MISSING: Expected a checkpoint directory, received /nowhere',
    ],
  ])('with %s', async (_, pattern, replacement, sentence) => {
    const lines = await outcome(
      () => {},
      (text) => {
        expect(text.replace(pattern, replacement)).not.toBe(text);
        return text.replace(pattern, replacement);
      },
    );
    expect(lines).toContainEqual(expect.stringContaining(sentence));
    for (const line of lines) expect(line).toMatch(/^[A-Z_]+: Expected .+/);
  });
});

/** Replaces text in one of the checkpoint's files. */
function replace(file: string, pattern: string | RegExp, replacement: string): (checkpoint: string) => void {
  return (checkpoint) => {
    const text = readFileSync(join(checkpoint, file), 'utf8');
    expect(text.replace(pattern, replacement)).not.toBe(text);
    writeFileSync(join(checkpoint, file), text.replace(pattern, replacement));
  };
}

const STATS = 'assets/identity/norm_stats.json';
const WEIGHTS = 'model.safetensors';
const remove = (file: string) => (checkpoint: string) => rmSync(join(checkpoint, file), { recursive: true });
const write = (file: string, text: string | Uint8Array) => (checkpoint: string) =>
  writeFileSync(join(checkpoint, file), text);

/** Changes the header of the weights, as text of the same length or not. */
function header(change: (text: string) => string): (checkpoint: string) => void {
  return (checkpoint) => {
    const bytes = readFileSync(join(checkpoint, WEIGHTS));
    const end = 8 + Number(bytes.readBigUInt64LE(0));
    const text = bytes.toString('utf8', 8, end);
    const changed = Buffer.from(change(text));
    expect(changed.toString()).not.toBe(text);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(changed.length));
    writeFileSync(join(checkpoint, WEIGHTS), Buffer.concat([length, changed, bytes.subarray(end)]));
  };
}

describe('a checkpoint', () => {
  test.each<[string, (checkpoint: string) => void, string, RegExp]>([
    [
      'that is a file',
      (path) => (rmSync(path, { recursive: true }), writeFileSync(path, '')),
      'CHECKPOINT_MISSING',
      /DIR/,
    ],
    ['that is empty', (path) => (rmSync(path, { recursive: true }), mkdirSync(path)), 'CHECKPOINT_MISSING', /DIR/],
    ['without weights', remove(WEIGHTS), 'CHECKPOINT_MISSING', /safetensors/],
    [
      'whose weights are a directory',
      (path) => (rmSync(join(path, WEIGHTS)), mkdirSync(join(path, WEIGHTS))),
      'CHECKPOINT_MISSING',
      /safetensors/,
    ],
    ['whose weights are of no bytes', write(WEIGHTS, ''), 'CHECKPOINT_TENSORS', /safetensors/],
    [
      'whose weights end early',
      (path) => truncateSync(join(path, WEIGHTS), 1_000_000),
      'CHECKPOINT_TENSORS',
      /safetensors/,
    ],
    [
      'whose weights end in their header',
      (path) => truncateSync(join(path, WEIGHTS), 5000),
      'CHECKPOINT_TENSORS',
      /safetensors/,
    ],
    [
      'whose weights declare an absurd header',
      write(WEIGHTS, Buffer.from('ffffffffffffff7f7b7d', 'hex')),
      'CHECKPOINT_TENSORS',
      /safetensors/,
    ],
    [
      'whose weights have no JSON for a header',
      header((text) => text.replace('{', '(')),
      'CHECKPOINT_TENSORS',
      /safetensors/,
    ],
    [
      'that lacks a tensor',
      header((text) => text.replace('action_in_proj.weight', 'action_in_prox.weight')),
      'CHECKPOINT_TENSORS',
      /action_in_proj\.weight/,
    ],
    [
      'with a tensor of another shape',
      header((text) => text.replace('[144,3,14,14]', '[144,3,14,7,2]')),
      'CHECKPOINT_TENSORS',
      /patch_embedding/,
    ],
    ['with a tensor of another type', header((text) => text.replace('"F32"', '"I32"')), 'CHECKPOINT_TENSORS', /I32/],
    [
      'whose tensors overlap',
      header((text) => text.replace('[338688,339264]', '[338680,339256]')),
      'CHECKPOINT_TENSORS',
      /.+/,
    ],
    [
      'whose tensors go beyond the file',
      header((text) => text.replace('[338688,339264]', '[99338688,99339264]')),
      'CHECKPOINT_TENSORS',
      /.+/,
    ],
    ['without its description', remove('pi05_model.json'), 'CHECKPOINT_TENSORS', /.+/],
    ['whose description is no JSON', write('pi05_model.json', '{'), 'CHECKPOINT_TENSORS', /pi05_model\.json/],
    [
      'whose description has an unknown member',
      replace('pi05_model.json', '"num_steps"', '"num_stepz"'),
      'CHECKPOINT_TENSORS',
      /num_step/,
    ],
    [
      'whose description has a size of another type',
      replace('pi05_model.json', '"max_token_len": 200', '"max_token_len": "200"'),
      'CHECKPOINT_TENSORS',
      /max_token_len/,
    ],
    [
      'whose description has an impossible size',
      replace('pi05_model.json', '"heads": 4', '"heads": 0'),
      'CHECKPOINT_TENSORS',
      /heads/,
    ],
    ['without statistics', remove('assets'), 'CHECKPOINT_STATS', /norm_stats\.json/],
    ['whose statistics are no JSON', write(STATS, '{"norm_stats": '), 'CHECKPOINT_STATS', /norm_stats\.json/],
    ['whose statistics are empty', write(STATS, '{}'), 'CHECKPOINT_STATS', /norm_stats\.json/],
    [
      'whose statistics have NaN',
      replace(STATS, /"q01":\s*\[\s*-?[\d.]+/, '"q01": [NaN'),
      'CHECKPOINT_STATS',
      /norm_stats/,
    ],
    [
      'whose statistics are too short',
      write(STATS, JSON.stringify({ norm_stats: { state: { q01: [0], q99: [1] }, actions: { q01: [0], q99: [1] } } })),
      'CHECKPOINT_STATS',
      /1/,
    ],
    ['without a tokenizer', remove('tokenizer.json'), 'CHECKPOINT_TOKENIZER', /tokenizer\.json/],
    ['whose tokenizer is no JSON', write('tokenizer.json', 'tokens'), 'CHECKPOINT_TOKENIZER', /tokenizer\.json/],
    [
      'whose tokenizer is JSON of something else',
      write('tokenizer.json', '{"model": {}}'),
      'CHECKPOINT_TOKENIZER',
      /tokenizer\.json/,
    ],
    [
      'whose tokenizer is larger than the model',
      replace('tokenizer.json', /"vocab":\s*\{/, '"vocab": { "zzz": 9999,'),
      'CHECKPOINT_TOKENIZER',
      /up to the model's 512 tokens, received 10000/,
    ],
  ])('%s', async (_, breakIt, code, words) => {
    const lines = await outcome(breakIt);
    expect(lines[0]).toMatch(new RegExp(`^${code}: Expected .+`));
    expect(lines.join('\n')).toMatch(words);
    expect(lines.join('\n')).toMatch(/received|found neither/);
  });
});

test('all_problems_are_reported_at_once', async () => {
  const lines = await outcome(
    (checkpoint) => {
      remove('assets')(checkpoint);
      remove('tokenizer.json')(checkpoint);
    },
    (text) => text.replace('replan_steps: 8', 'replan_steps: 16'),
  );
  expect(lines.map((line) => line.split(':')[0])).toEqual(['CONFIG_RANGE', 'CHECKPOINT_STATS', 'CHECKPOINT_TOKENIZER']);
});
