import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DEFAULT_LATENCY_MS, DEFAULT_TOLERANCE } from '../../../src/cli/replay.js';
import type { PolicyConfig } from '../../../src/config/config.js';
import { configFromFile } from '../../../src/config/file.js';
import { type Declaration, SCHEMA } from '../../../src/config/schema.js';
import type { ModelInfo } from '../../../src/engine/engine.js';
import { describeCheckpoint } from '../../../src/engine/inspect.js';
import { writeRandomWeights } from '../../../src/engine/native.js';
import { BYTES_PER_PIXEL, CONVERTED_ENCODINGS, IMAGE_SLOTS } from '../../../src/frame/frame.js';
import { toSeconds } from '../../../src/time.js';
import { fixture, packageRoot } from '../root.js';

/**
 * The numbers in the documentation are those of the schema, the presets and the engine.
 *
 * A pattern quotes only the words next to a number, so that the rest of the page may be reworded. If a pattern is not found,
 * these words have changed: update the pattern. If a number differs, correct the page.
 */

const read = (...path: string[]): string => readFileSync(join(packageRoot, ...path), 'utf8');
const preset = (name: string): PolicyConfig => configFromFile(join(packageRoot, 'configs', `${name}.yaml`));
const PAGES = ['README.md', ...readdirSync(join(packageRoot, 'docs')).map((name) => join('docs', name))].filter(
  (path) => path.endsWith('.md'),
);

/** The declaration of a parameter by its name in the schema, such as `cameras.<camera>.max_age`. */
function declaration(parameter: string): Declaration {
  expect(Object.keys(SCHEMA)).toContain(parameter);
  return SCHEMA[parameter as keyof typeof SCHEMA];
}
const defaultOf = (parameter: string): number => Number(declaration(parameter).default);

/** The text of a page in one line, so that a pattern matches across line breaks, also in comments that begin with #. */
const inOneLine = (page: string): string => read(page).replaceAll(/\n# /g, ' ').replaceAll(/\s+/g, ' ');

/** The numbers that `pattern` captures, one list for each match. @throws Error if there is no match. */
function numbersIn(page: string, pattern: RegExp): number[][] {
  const matches = [...inOneLine(page).matchAll(new RegExp(pattern, 'g'))];
  if (matches.length === 0) {
    throw new Error(`Expected ${String(pattern)} in ${page}, found none: if the page was reworded, update the pattern`);
  }
  return matches.map(([, ...captures]) => captures.map(Number));
}

/** Checks that a page states these numbers wherever `pattern` matches, and that it matches at least once. */
function expectNumbers(page: string, pattern: RegExp, expected: readonly number[]): void {
  for (const numbers of numbersIn(page, pattern))
    expect({ page, pattern, numbers }).toEqual({ page, pattern, numbers: expected });
}

let directory: string;
/** The model without a pi05_model.json, and the one of `make-checkpoint --size demo`. */
let standard: ModelInfo;
let demo: ModelInfo;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-numbers-'));
  for (const name of ['empty', 'demo']) mkdirSync(join(directory, name));
  await writeRandomWeights(join(directory, 'demo'), 'demo', 0n);
  standard = (await describeCheckpoint(join(directory, 'empty'))).info;
  demo = (await describeCheckpoint(join(directory, 'demo'))).info;
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('defaults', () => {
  const stated = PAGES.flatMap((page) =>
    [...inOneLine(page).matchAll(/`([\w.<>]+)` \(([\d.]+)(?: (\w+))? by default/g)].map(
      ([, parameter = '', value, unit]) => ({ page, parameter, value: Number(value), unit }),
    ),
  );

  test('are_stated_on_the_troubleshooting_page_for_every_limit_that_it_explains', () => {
    const parameters = stated.filter(({ page }) => page === 'docs/errors.md').map(({ parameter }) => parameter);
    expect(new Set(parameters)).toEqual(
      new Set([
        'cameras.<camera>.max_age',
        'state.max_age',
        'sync.max_skew',
        'image.min_size',
        'image.max_size',
        'schedule.engine_timeout',
        'schedule.max_tick_lateness',
        'safety.max_following_error',
      ]),
    );
  });

  test.each(stated)('$page: $parameter is $value $unit', ({ parameter, value, unit }) => {
    const declared = declaration(parameter);
    expect([value, unit ?? declared.unit]).toEqual([Number(declared.default), declared.unit]);
  });

  test('of_image_sizes_are_those_of_the_example_in_the_README', () => {
    const sizes = [defaultOf('image.min_size'), defaultOf('image.max_size')];
    expectNumbers('README.md', /IMAGE_SIZE: Expected (\d+) to (\d+) pixels a side/, sizes);
  });

  test('of_the_replay_options_are_those_of_the_replay_page', () => {
    expectNumbers('docs/replay.md', /the default tolerance of (\d+)/, [DEFAULT_TOLERANCE]);
    expectNumbers('docs/replay.md', /the default, (\d+), shows the policy alone/, [DEFAULT_LATENCY_MS]);
  });
});

describe('models', () => {
  test('the_limit_of_the_aspect_ratio_is_the_image_size_of_the_model', () => {
    const { imageSize } = standard;
    expectNumbers('docs/errors.md', /more than (\d+) times the pixels/, [imageSize]);
    expectNumbers('docs/errors.md', /the model's (\d+) × (\d+) pixels/, [imageSize, imageSize]);
  });

  test('the_number_of_flow_steps_is_that_of_the_standard_model', () => {
    expectNumbers('docs/glossary.md', /(\d+) per inference/, [standard.flowSteps]);
    for (const name of ['pi05_droid', 'pi05_droid_jointpos', 'pi05_aloha', 'pi05_libero', 'demo']) {
      const pattern = /flow_steps: 0 # 0 = the checkpoint's own number, (\d+)/;
      expectNumbers(`configs/${name}.yaml`, pattern, [standard.flowSteps]);
    }
  });

  test('the_README_lists_the_image_slots_and_encodings', () => {
    expect(read('README.md')).toContain(`(${IMAGE_SLOTS.map((slot) => `\`${slot}\``).join(', ')})`);
    for (const encodings of [BYTES_PER_PIXEL, CONVERTED_ENCODINGS]) {
      expect(read('README.md')).toContain(`(${Object.keys(encodings).join(', ')})`);
    }
  });
});

test('the_inference_time_of_the_README_is_the_measured_one', () => {
  interface Run {
    readonly device: string;
    readonly cases: readonly { cameras: number; horizon: number; inference_ms: { mean: number; p50: number } }[];
  }
  const [{ device, cases }] = JSON.parse(read('docs', 'performance.json')) as [Run];
  const [{ cameras, horizon, inference_ms: inference }] = cases as [Run['cases'][number]];
  expectNumbers('README.md', /On an NVIDIA H200 one inference takes \*\*([\d.]+) ms\*\*/, [
    Number(inference.p50.toFixed(1)),
  ]);
  expectNumbers('README.md', /from two 640×480 images in host memory to (\d+) actions/, [horizon]);
  expect([device, cameras]).toEqual(['NVIDIA H200', 2]);
});

/** The rows of the table of presets in the README: cells by column, by the name of the preset. */
function presetTable(): Map<string, Readonly<Record<string, string>>> {
  const lines = read('README.md').split('\n');
  const cells = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  const start = lines.findIndex((line) => line.startsWith('| preset |'));
  const columns = cells(lines[start]!);
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  const rows = lines.slice(start + 2, start + length).map(cells);
  return new Map(
    rows.map((row) => [
      row[0]!.replaceAll('`', ''),
      Object.fromEntries(columns.map((column, index) => [column, row[index]!])),
    ]),
  );
}

describe('the presets', () => {
  const horizonOf = (name: string): number =>
    (JSON.parse(readFileSync(fixture('presets', `${name}.json`), 'utf8')) as { horizon: number }).horizon;
  const table = presetTable();

  test('are_all_in_the_table_of_the_README', () => {
    const names = readdirSync(join(packageRoot, 'configs'))
      .filter((file) => file.endsWith('.yaml') && read('configs', file).includes('checkpoint:'))
      .map((file) => file.replace('.yaml', ''));
    expect([...table.keys()].sort()).toEqual(names.sort());
  });

  test.each(['pi05_droid', 'pi05_droid_jointpos', 'pi05_aloha', 'pi05_libero'])(
    '%s_has_the_rate_horizon_and_steps_that_the_README_and_its_own_file_state',
    (name) => {
      const { controlRate, schedule } = preset(name);
      const [horizon, steps] = [horizonOf(name), schedule.replanSteps];
      expect(table.get(name)?.['rate']).toBe(`${controlRate} Hz, horizon ${horizon}, ${steps} steps open loop`);
      expect(numbersIn(`configs/${name}.yaml`, /(\d+) steps of each chunk of (\d+)/)[0]).toEqual([steps, horizon]);
    },
  );

  test('the_demo_runs_at_the_rate_that_the_README_states', () => {
    expect(table.get('demo')?.['rate']).toBe(`${preset('demo').controlRate} Hz`);
  });

  test.each([
    ['pi05_droid', 2, /^7 joint velocities/, 7, 'velocity'],
    ['pi05_droid_jointpos', 2, /^7 joint deltas/, 7, 'delta'],
    ['pi05_aloha', 3, /^12 joint deltas/, 12, 'delta'],
    ['pi05_libero', 2, /^6 relative commands/, 6, 'velocity'],
  ])('%s_has_the_cameras_and_actions_that_the_README_states', (name, cameras, actions, count, kind) => {
    const config = preset(name);
    const row = table.get(name);
    expect(config.cameras).toHaveLength(cameras);
    expect(row?.['cameras']?.replace(/, rotated by.*/, '').split(/, | and /)).toHaveLength(cameras);
    expect(row?.['actions']).toMatch(actions);
    expect(config.action.joints.filter((joint) => joint.kind === kind)).toHaveLength(count);
  });

  test('have_the_states_that_the_README_states', () => {
    const stateOf = (name: string): string | undefined => table.get(name)?.['state'];
    expect([stateOf('pi05_droid'), preset('pi05_droid').state.joints.length]).toEqual([
      '7 joint positions, gripper',
      8,
    ]);
    expect(stateOf('pi05_aloha')).toMatch(new RegExp(`^${preset('pi05_aloha').state.joints.length}: `));
    expect([stateOf('pi05_libero'), preset('pi05_libero').state.mode]).toEqual(['none', 'none']);
    const { rotate } = preset('pi05_libero').cameras[0]!;
    expect(table.get('pi05_libero')?.['cameras']).toContain(`rotated by ${rotate}°`);
  });

  test('have_the_ages_periods_and_limits_that_the_bring_up_pages_state', () => {
    const { cameras, state, controlRate } = preset('pi05_droid');
    expectNumbers('docs/bring-up-droid.md', /`max_age` \(([\d.]+) s for joints, ([\d.]+) s for cameras\)/, [
      toSeconds(state.maxAge),
      toSeconds(cameras[0]!.maxAge),
    ]);
    expectNumbers('docs/bring-up-droid.md', /one velocity every (\d+) ms/, [Math.round(1000 / controlRate)]);
    const aloha = preset('pi05_aloha');
    const steps = aloha.schedule.replanSteps;
    expectNumbers('docs/bring-up-aloha.md', /(\d+) of (\d+) steps at (\d+) Hz are ([\d.]+) s/, [
      steps,
      horizonOf('pi05_aloha'),
      aloha.controlRate,
      steps / aloha.controlRate,
    ]);
    const finger = aloha.state.joints.find(({ name }) => name === 'left_left_finger')!;
    expectNumbers('docs/bring-up-aloha.md', /linkage \(([\d.]+) to ([\d.]+) m\)/, [finger.lower, finger.upper]);
  });
});

describe('docs/custom-robot.md', () => {
  const PAGE = 'docs/custom-robot.md';

  test('has_the_dimensions_of_the_demo_checkpoint', () => {
    expectNumbers(PAGE, /chunks of (\d+) × (\d+)/, [demo.horizon, demo.actionDim]);
    expectNumbers(PAGE, /([\d.]+) M parameters/, [Number((demo.parameters / 1e6).toFixed(1))]);
    expectNumbers(PAGE, /replan_steps: 8 # of the (\d+) steps/, [demo.horizon]);
    expectNumbers(PAGE, /the last one's (\d+) steps ran out/, [demo.horizon]);
  });

  test('has_messages_with_the_limits_of_its_own_parameter_file_and_with_the_defaults', () => {
    const [[rate]] = numbersIn(PAGE, /control_rate: ([\d.]+) # Hz/) as [[number]];
    const [[speed]] = numbersIn(PAGE, /shoulder_pan: \{ kind: delta[^}]*max_velocity: ([\d.]+),/) as [[number]];
    expectNumbers(PAGE, /active: control ticks at (\d+) Hz/, [rate]);
    expectNumbers(PAGE, /a first command within ([\d.]+) of/, [speed / rate]);
    expectNumbers(PAGE, /Expected stamps within ([\d.]+) s of each other/, [defaultOf('sync.max_skew')]);
    expectNumbers(PAGE, /valid data at most ([\d.]+) s old on \/joint_states/, [defaultOf('state.max_age')]);
  });
});

describe('docs/cuda.md', () => {
  /** An integer constant of a kernel header. It may be a product of integers. */
  function constant(header: string, name: string): number {
    const source = read('native', 'backend', 'cuda', 'kernels', header);
    const [, value] = new RegExp(`\\b${name} = ([\\d* ]+)[,;]`).exec(source) ?? [];
    if (value === undefined) throw new Error(`Expected an integer constant ${name} in ${header}, found none`);
    return value.split('*').reduce((product, factor) => product * Number(factor), 1);
  }

  test('has_the_limits_of_the_kernels', () => {
    const pageKeys = constant('expert_layout.cuh', 'kPage');
    const clusterBlocks = constant('expert_layout.cuh', 'kCluster');
    const warps = 8; // a page of keys each; the last page has two action rows
    expectNumbers('docs/cuda.md', /at most (\d+) action rows/, [constant('expert_layout.cuh', 'kRows')]);
    expectNumbers('docs/cuda.md', /at most (\d+) prefix tokens/, [clusterBlocks * (warps * pageKeys - 2)]);
    expectNumbers('docs/cuda.md', /clusters of (\d+) blocks/, [clusterBlocks]);
    expectNumbers('docs/cuda.md', /x with at most (\d+) rows/, [constant('kernels.h', 'kMaxSkinnyRows')]);
    expectNumbers('docs/cuda.md', /and at most (\d+) for the cuda backend/, [constant('kernels.h', 'kMaxNormWidth')]);
  });
});
