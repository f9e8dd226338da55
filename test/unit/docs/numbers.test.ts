import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { configFromFile } from '../../../src/config/file.js';
import { type Declaration, SCHEMA } from '../../../src/config/schema.js';
import type { ModelInfo } from '../../../src/engine/engine.js';
import { describeCheckpoint } from '../../../src/engine/inspect.js';
import { writeRandomWeights } from '../../../src/engine/native.js';
import { BYTES_PER_PIXEL, IMAGE_SLOTS } from '../../../src/frame/frame.js';
import { toSeconds } from '../../../src/time.js';
import { fixture, packageRoot } from '../root.js';

/** The numbers in the documentation, compared with the schema, the presets and the engine. */

const read = (...path: string[]): string => readFileSync(join(packageRoot, ...path), 'utf8');
const preset = (name: string): PolicyConfig => configFromFile(join(packageRoot, 'configs', `${name}.yaml`));
const PAGES = ['README.md', ...readdirSync(join(packageRoot, 'docs')).map((name) => join('docs', name))].filter(
  (path) => path.endsWith('.md'),
);

function declaration(pattern: string): Declaration {
  expect(Object.keys(SCHEMA)).toContain(pattern);
  return SCHEMA[pattern as keyof typeof SCHEMA];
}
const byDefault = (pattern: string): number => Number(declaration(pattern).default);

/** The numbers that `pattern` captures in a page; line breaks count as spaces. Each page has to have at least one match. */
function numbersIn(page: string, pattern: RegExp): number[][] {
  const found = [...read(page).replaceAll(/\s+/g, ' ').matchAll(new RegExp(pattern, 'g'))];
  if (found.length === 0)
    throw new Error(`Expected ${String(pattern)} in ${page}, found none: has the sentence changed?`);
  return found.map(([, ...captures]) => captures.map(Number));
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
    [
      ...read(page)
        .replaceAll(/\s+/g, ' ')
        .matchAll(/`([\w.<>]+)` \(([\d.]+)(?: (\w+))? by default/g),
    ].map(([, pattern = '', value, unit]) => ({ page, pattern, value: Number(value), unit })),
  );

  test('are_stated_on_the_troubleshooting_page', () => {
    const patterns = stated.filter(({ page }) => page === 'docs/errors.md').map(({ pattern }) => pattern);
    expect(new Set(patterns)).toEqual(
      new Set([
        'cameras.<camera>.max_age',
        'state.max_age',
        'sync.max_skew',
        'image.min_size',
        'image.max_size',
        'schedule.engine_timeout',
        'schedule.max_tick_lateness',
      ]),
    );
  });

  test.each(stated)('$page: $pattern is $value $unit', ({ pattern, value, unit }) => {
    expect([value, unit ?? declaration(pattern).unit]).toEqual([byDefault(pattern), declaration(pattern).unit]);
  });

  test('of_image_sizes_are_those_of_the_example_in_the_README', () => {
    const sizes = [byDefault('image.min_size'), byDefault('image.max_size')];
    for (const numbers of numbersIn('README.md', /IMAGE_SIZE: Expected (\d+) to (\d+) pixels a side/)) {
      expect(numbers).toEqual(sizes);
    }
  });

  test('of_a_replay_are_0_and_the_help_says_so', () => {
    const COMMAND = 'src/cli/replay.ts';
    const [latency] = numbersIn(COMMAND, /'latency-ms': \{[^}]*default: '(\d+)'/) as [[number]];
    const [tolerance] = numbersIn(COMMAND, /values\.tolerance \?\? '(\d+)'/) as [[number]];
    expect(numbersIn(COMMAND, /--latency-ms MS [^;]*; (\d+) by default/)).toEqual([latency]);
    expect(numbersIn(COMMAND, /--tolerance X [^;]*; (\d+) by default/)).toEqual([tolerance]);
    expect(numbersIn('docs/replay.md', /the default tolerance of (\d+)/)).toEqual([tolerance]);
    expect(numbersIn('docs/replay.md', /the default, (\d+), shows the policy alone/)).toEqual([latency]);
  });
});

describe('models', () => {
  test('the_aspect_ratio_limit_is_the_image_size', () => {
    const { imageSize } = standard;
    expect(numbersIn('docs/errors.md', /more than (\d+) times the pixels of the shorter one/)).toEqual([[imageSize]]);
    expect(numbersIn('docs/errors.md', /the model's (\d+) × (\d+) pixels/)).toEqual([[imageSize, imageSize]]);
  });

  test('the_standard_number_of_flow_steps', () => {
    expect(numbersIn('docs/glossary.md', /(\d+) per inference unless `flow_steps`/)).toEqual([[standard.flowSteps]]);
    for (const name of ['pi05_droid', 'pi05_droid_jointpos', 'pi05_aloha', 'pi05_libero', 'demo']) {
      expect([
        name,
        numbersIn(`configs/${name}.yaml`, /flow_steps: 0 # 0 = the checkpoint's own number, (\d+)/),
      ]).toEqual([name, [[standard.flowSteps]]]);
    }
  });

  test('the_slots_and_encodings', () => {
    expect(read('README.md')).toContain(`(${IMAGE_SLOTS.map((slot) => `\`${slot}\``).join(', ')})`);
    expect(read('README.md')).toContain(`(${Object.keys(BYTES_PER_PIXEL).join(', ')})`);
  });
});

test('the_inference_time_of_the_README_is_the_measured_one', () => {
  interface Run {
    readonly device: string;
    readonly cases: readonly { cameras: number; horizon: number; inference_ms: { mean: number; p50: number } }[];
  }
  const [{ device, cases }] = JSON.parse(read('docs', 'performance.json')) as [Run];
  const [{ cameras, horizon, inference_ms: inference }] = cases as [Run['cases'][number]];
  expect(
    numbersIn('README.md', /On an NVIDIA H200 one inference takes \*\*([\d.]+) ms\*\*.* to (\d+) actions/),
  ).toEqual([[Number(inference.p50.toFixed(1)), horizon]]);
  expect([device, cameras]).toEqual(['NVIDIA H200', 2]);
});

describe('the presets', () => {
  const horizonOf = (name: string): number =>
    (JSON.parse(readFileSync(fixture('presets', `${name}.json`), 'utf8')) as { horizon: number }).horizon;
  const rows = new Map(
    read('README.md')
      .split('\n')
      .map((line) => line.split('|').map((cell) => cell.trim()))
      .filter(([, name = '']) => /^`\w+`$/.test(name) && name !== '`prompt`')
      .map(
        ([, name = '', cameras, state, actions, rate]) =>
          [name.slice(1, -1), { cameras, state, actions, rate }] as const,
      )
      .filter(([, { rate }]) => rate !== undefined && rate !== ''),
  );

  test('are_all_in_the_table_of_the_README', () => {
    const names = readdirSync(join(packageRoot, 'configs'))
      .filter((file) => file.endsWith('.yaml') && read('configs', file).includes('checkpoint:'))
      .map((file) => file.replace('.yaml', ''));
    expect([...rows.keys()].sort()).toEqual(names.sort());
  });

  test.each(['pi05_droid', 'pi05_droid_jointpos', 'pi05_aloha', 'pi05_libero'])(
    '%s_has_the_rate_horizon_and_steps_that_the_README_and_its_own_file_state',
    (name) => {
      const { controlRate, schedule } = preset(name);
      const numbers = [controlRate, horizonOf(name), schedule.replanSteps];
      expect(rows.get(name)?.rate).toBe(`${numbers[0]} Hz, horizon ${numbers[1]}, ${numbers[2]} steps open loop`);
      expect(numbersIn(`configs/${name}.yaml`, /(\d+)(?: #)? steps of each(?: #)? chunk of (\d+)/)[0]).toEqual([
        schedule.replanSteps,
        horizonOf(name),
      ]);
    },
  );

  test('the_demo_runs_at_the_rate_that_the_README_states', () => {
    expect(rows.get('demo')?.rate).toBe(`${preset('demo').controlRate} Hz`);
  });

  test.each([
    ['pi05_droid', 2, /^7 joint velocities/, 7, 'velocity'],
    ['pi05_droid_jointpos', 2, /^7 joint deltas/, 7, 'delta'],
    ['pi05_aloha', 3, /^12 joint deltas/, 12, 'delta'],
    ['pi05_libero', 2, /^6 relative commands/, 6, 'velocity'],
  ])('%s_has_the_cameras_and_actions_that_the_README_states', (name, cameras, stated, count, kind) => {
    const config = preset(name);
    expect(config.cameras).toHaveLength(cameras);
    expect(
      rows
        .get(name)
        ?.cameras?.replace(/, rotated by.*/, '')
        .split(/, | and /),
    ).toHaveLength(cameras);
    expect(rows.get(name)?.actions).toMatch(stated);
    expect(config.action.joints.filter((joint) => joint.kind === kind)).toHaveLength(count);
  });

  test('the_states_that_the_README_states', () => {
    expect([rows.get('pi05_droid')?.state, preset('pi05_droid').state.joints.length]).toEqual([
      '7 joint positions, gripper',
      8,
    ]);
    expect(rows.get('pi05_aloha')?.state).toMatch(new RegExp(`^${preset('pi05_aloha').state.joints.length}: `));
    expect([rows.get('pi05_libero')?.state, preset('pi05_libero').state.mode]).toEqual(['none', 'none']);
    expect(rows.get('pi05_libero')?.cameras).toContain(`rotated by ${preset('pi05_libero').cameras[0]!.rotate}°`);
  });

  test('the_ages_and_periods_of_the_bring_up_pages', () => {
    const { cameras, state, controlRate } = preset('pi05_droid');
    expect(numbersIn('docs/bring-up-droid.md', /`max_age` \(([\d.]+) s for joints, ([\d.]+) s for cameras\)/)).toEqual([
      [toSeconds(state.maxAge), toSeconds(cameras[0]!.maxAge)],
    ]);
    expect(numbersIn('docs/bring-up-droid.md', /one velocity every (\d+) ms/)).toEqual([
      [Math.round(1000 / controlRate)],
    ]);
    const aloha = preset('pi05_aloha');
    expect(numbersIn('docs/bring-up-aloha.md', /(\d+) of (\d+) steps at (\d+) Hz are ([\d.]+) s/)).toEqual([
      [
        aloha.schedule.replanSteps,
        horizonOf('pi05_aloha'),
        aloha.controlRate,
        aloha.schedule.replanSteps / aloha.controlRate,
      ],
    ]);
    const finger = aloha.state.joints.find(({ name }) => name === 'left_left_finger')!;
    expect(numbersIn('docs/bring-up-aloha.md', /linkage \(([\d.]+) to ([\d.]+) m\)/)).toEqual([
      [finger.lower, finger.upper],
    ]);
  });
});

describe('docs/custom-robot.md', () => {
  const PAGE = 'docs/custom-robot.md';

  test('has_the_dimensions_of_the_demo_checkpoint', () => {
    for (const [horizon, actionDim] of numbersIn(PAGE, /chunks of (\d+) × (\d+)/)) {
      expect([horizon, actionDim]).toEqual([demo.horizon, demo.actionDim]);
    }
    expect(numbersIn(PAGE, /([\d.]+) M parameters/)).toEqual([[Number((demo.parameters / 1e6).toFixed(1))]]);
    for (const pattern of [/replan_steps: 8 # of the (\d+) steps/, /the last one's (\d+) steps ran out/]) {
      expect(numbersIn(PAGE, pattern)).toEqual([[demo.horizon]]);
    }
  });

  test('has_the_limits_of_its_own_parameter_file_and_the_defaults_in_its_messages', () => {
    const [[rate]] = numbersIn(PAGE, /control_rate: ([\d.]+) # Hz/) as [[number]];
    const [[speed]] = numbersIn(PAGE, /shoulder_pan: \{ kind: delta[^}]*max_velocity: ([\d.]+) \}/) as [[number]];
    expect(numbersIn(PAGE, /active: control ticks at (\d+) Hz/)).toEqual([[rate]]);
    expect(numbersIn(PAGE, /a first command within ([\d.]+) of/)).toEqual([[speed / rate]]);
    expect(numbersIn(PAGE, /Expected stamps within ([\d.]+) s of each other/)).toEqual([[byDefault('sync.max_skew')]]);
    expect(numbersIn(PAGE, /valid data at most ([\d.]+) s old on \/joint_states/)).toEqual([
      [byDefault('state.max_age')],
    ]);
  });
});
