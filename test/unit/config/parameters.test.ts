import { describe, expect, test } from '@jest/globals';
import { configFromParameters, parameterDescriptors } from '../../../src/config/parameters.js';
import { SCHEMA } from '../../../src/config/schema.js';
import { ChangedParameters } from './changed-parameters.js';
import { limitsOf } from './limits-of.js';

/** The smallest valid configuration. */
const MINIMAL: Readonly<Record<string, unknown>> = {
  checkpoint: '/checkpoint',
  control_rate: 15,
  'schedule.replan_steps': 8n,
  'cameras.names': ['front'],
  'cameras.front.topic': 'front/image',
  'cameras.front.slot': 'base_0_rgb',
  'state.joints': ['j1', 'j2'],
  'action.joints': ['j1', 'j2'],
  'action.j1.kind': 'velocity',
  'action.j2.kind': 'position',
  ...limitsOf('j1', 'j2'),
};

const parameters = new ChangedParameters(MINIMAL);

describe('a configuration', () => {
  test('has_the_declared_defaults_and_durations_in_nanoseconds', () => {
    expect(parameters.config()).toEqual({
      checkpoint: '/checkpoint',
      assetId: '',
      backend: 'auto',
      precision: 'bf16',
      threads: 0,
      flowSteps: 0,
      seed: 0n,
      prompt: '',
      promptTopic: 'prompt',
      autostart: true,
      controlRate: 15,
      schedule: {
        mode: 'async',
        replanSteps: 8,
        ensembleDecay: 0.01,
        rtc: { schedule: 'exp', horizon: undefined, maxWeight: 10 },
        engineTimeout: 2_000_000_000n,
        maxTickLateness: 20_000_000n,
        lockstep: false,
        injectedDelay: 0n,
        injectedJitter: 0n,
        blendIn: 0n,
        maxChunkAge: undefined,
      },
      safety: {
        commandTimeout: 183_333_333n,
        latchAfter: 1_000_000_000n,
        latch: [],
        heartbeatTopic: '',
        heartbeatMaxAge: 500_000_000n,
        maxTickGap: 183_333_333n,
        hold: 'compliant',
        holdBeforePlan: false,
        allowSharedOutputs: false,
      },
      sync: { maxSkew: 50_000_000n },
      image: { minSize: 32, maxSize: 8192 },
      cameras: [
        {
          name: 'front',
          topic: 'front/image',
          transport: 'raw',
          slot: 'base_0_rgb',
          rotate: 0,
          maxAge: 200_000_000n,
          zeroStamp: 'refuse',
          maxStill: 0n,
        },
      ],
      state: {
        mode: 'joints',
        topic: 'joint_states',
        maxAge: 100_000_000n,
        zeroStamp: 'refuse',
        joints: ['j1', 'j2'].map((name) => ({
          name,
          source: 'position',
          transform: 'none',
          scale: 1,
          offset: 0,
          lower: -Infinity,
          upper: Infinity,
        })),
      },
      action: {
        bound: 'none',
        joints: [
          ['j1', 'velocity'],
          ['j2', 'position'],
        ].map(([name, kind]) => ({
          name,
          isJoint: true,
          kind,
          integrated: false,
          transform: 'none',
          scale: 1,
          offset: 0,
          gripper: false,
          binarize: undefined,
          lower: -2,
          upper: 2,
          maxVelocity: 1,
          maxAcceleration: 10,
          maxFollowingError: 0.2,
        })),
      },
      limits: 'finite',
      robotDescription: { topic: '', file: '', timeout: 10_000_000_000n },
      tool: { link: '', lower: undefined, upper: undefined, maxSpeed: undefined, planes: [] },
      outputs: [],
      chunkTopic: '~/chunk',
    });
  });

  test('lists_cameras_in_slot_order', () => {
    const { cameras } = parameters.config({
      'cameras.names': ['wrist', 'front'],
      'cameras.wrist.topic': 'wrist/image',
      'cameras.wrist.slot': 'left_wrist_0_rgb',
    });
    expect(cameras.map(({ name }) => name)).toEqual(['front', 'wrist']);
  });

  test('may_have_joint_names_with_dots_and_slashes', () => {
    const { action } = parameters.config({
      'state.joints': ['left/a.b', 'j2'],
      'action.joints': ['left/a.b', 'j2'],
      'action.j1.kind': undefined,
      'action.left/a.b.kind': 'velocity',
      ...Object.fromEntries(Object.keys(limitsOf('j1')).map((name) => [name, undefined])),
      ...limitsOf('left/a.b'),
    });
    expect(action.joints[0]?.name).toBe('left/a.b');
  });

  test('may_contain_parameters_that_belong_to_ROS', () => {
    expect(
      parameters.problems({
        use_sim_time: true,
        'qos_overrides./clock.subscription.depth': 1n,
        start_type_description_service: true,
      }),
    ).toEqual([]);
  });

  test('rejects_a_list_of_integers_for_a_list_of_names', () => {
    expect(parameters.problems({ 'state.joints': [1n] })).toEqual([
      'CONFIG_TYPE: Expected a list of strings for state.joints, received the list [1]',
    ]);
  });
});

describe('a single parameter', () => {
  test.each<[string, Record<string, unknown>, string]>([
    [
      'an_integer_for_a_double',
      { control_rate: 15n },
      'CONFIG_TYPE: Expected a double for control_rate, received the integer 15 (write 15.0)',
    ],
    [
      'a_double_for_an_integer',
      { threads: 2 },
      'CONFIG_TYPE: Expected an integer for threads, received the double 2.0 (write 2)',
    ],
    [
      'a_fraction_for_an_integer',
      { threads: 2.5 },
      'CONFIG_TYPE: Expected an integer for threads, received the double 2.5',
    ],
    [
      'a_boolean_for_a_string',
      { prompt: true },
      'CONFIG_TYPE: Expected a string for prompt, received the boolean true (write it in quotes)',
    ],
    [
      'a_string_for_a_boolean',
      { autostart: 'yes' },
      'CONFIG_TYPE: Expected a boolean for autostart, received the string "yes"',
    ],
    [
      'a_string_for_a_list',
      { 'cameras.names': 'front' },
      'CONFIG_TYPE: Expected a list of strings for cameras.names, received the string "front" (write [front])',
    ],
    [
      'no_value_for_a_parameter_without_default',
      { checkpoint: undefined },
      'CONFIG_TYPE: Expected a string for checkpoint, received nothing',
    ],
    [
      'an_empty_string',
      { checkpoint: '' },
      'CONFIG_RANGE: Expected a text that is not empty for checkpoint, received ""',
    ],
    [
      'an_unknown_choice',
      { backend: 'gpu' },
      'CONFIG_RANGE: Expected one of auto, cpu, cuda for backend, received "gpu"',
    ],
    [
      'an_unknown_precision',
      { precision: 'fp16' },
      'CONFIG_RANGE: Expected one of bf16, fp8 for precision, received "fp16"',
    ],
    [
      'fp8_on_the_cpu',
      { backend: 'cpu', precision: 'fp8' },
      'CONFIG_RANGE: Expected backend auto or cuda for precision fp8, received cpu',
    ],
    [
      'an_unknown_slot',
      { 'cameras.front.slot': 'base' },
      'CONFIG_RANGE: Expected one of base_0_rgb, left_wrist_0_rgb, right_wrist_0_rgb for cameras.front.slot, received "base"',
    ],
    [
      'a_number_below_its_range',
      { 'schedule.replan_steps': 0n },
      'CONFIG_RANGE: Expected a number at least 1 and at most 10000 (ticks) for schedule.replan_steps, received 0',
    ],
    [
      'a_0_for_a_number_that_must_be_above_0',
      { control_rate: 0 },
      'CONFIG_RANGE: Expected a number above 0 and at most 1000 (Hz) for control_rate, received 0.0',
    ],
    [
      'NaN_for_a_number_with_a_range',
      { control_rate: NaN },
      'CONFIG_RANGE: Expected a number above 0 and at most 1000 (Hz) for control_rate, received .nan',
    ],
    [
      'a_scale_of_0',
      { 'state.j1.scale': 0 },
      "CONFIG_RANGE: Expected a finite number other than 0 (joint's own) for state.j1.scale, received 0.0",
    ],
    [
      'an_infinite_offset',
      { 'state.j1.offset': -Infinity },
      "CONFIG_RANGE: Expected a finite number (joint's own) for state.j1.offset, received -.inf",
    ],
    [
      'NaN_for_a_threshold',
      { 'action.j1.binarize': NaN },
      'CONFIG_RANGE: Expected a finite number for action.j1.binarize, received .nan',
    ],
    [
      'NaN_for_a_limit',
      { 'action.j1.lower': NaN },
      'CONFIG_RANGE: Expected a finite number (rad or m) for action.j1.lower, received .nan',
    ],
    [
      'an_infinite_limit',
      { 'action.j1.max_velocity': Infinity },
      'CONFIG_RANGE: Expected a finite number above 0 (rad/s or m/s) for action.j1.max_velocity, received .inf',
    ],
    [
      'an_empty_name',
      { 'cameras.names': ['front', ''] },
      'CONFIG_RANGE: Expected names that are not empty for cameras.names, received ["front", ""]',
    ],
  ])('%s_is_one_problem', (_, changes, sentence) => expect(parameters.problems(changes)).toEqual([sentence]));

  test('an_unknown_key_is_reported_with_the_nearest_known_one', () => {
    const unknown = {
      'schedule.replansteps': 8n,
      'state.j1.ofset': 1,
      'action.j2.max_velocty': 1,
      'cameras.front.slots': 'base_0_rgb',
      'cameras.frnt.max_age': 0.1,
      'action.j3.kind': 'velocity',
    };
    expect(
      parameters.problems(unknown).map((line) => line.replace('CONFIG_UNKNOWN_KEY: Expected a known parameter, ', '')),
    ).toEqual([
      'received schedule.replansteps (nearest: schedule.replan_steps)',
      'received state.j1.ofset (nearest: state.j1.offset)',
      'received action.j2.max_velocty (nearest: action.j2.max_velocity)',
      'received cameras.front.slots (nearest: cameras.front.slot)',
      'received cameras.frnt.max_age (frnt is not in cameras.names; nearest: cameras.front.max_age)',
      'received action.j3.kind (j3 is not in action.joints; nearest: action.j1.kind)',
    ]);
  });

  test('names_the_file_and_line_where_it_was_given', () => {
    const flat = new Map(Object.entries({ ...MINIMAL, threads: 1.5 }));
    expect(() => configFromParameters(flat, (name) => `robot.yaml line ${String(name.length)}`)).toThrow(
      'Expected an integer for threads, received the double 1.5 in robot.yaml line 7',
    );
  });

  test('all_problems_are_reported_at_once_with_their_codes', () => {
    let error: unknown;
    try {
      parameters.config({ checkpoint: undefined, backend: 'gpu', promt: 'go', 'state.j1.source': 'speed' });
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: 'CONFIG_TYPE', source: 'checkpoint' });
    expect(String(error).split('\n')).toEqual([
      'CONFIG_TYPE: Expected a string for checkpoint, received nothing',
      'CONFIG_RANGE: Expected one of auto, cpu, cuda for backend, received "gpu"',
      'CONFIG_RANGE: Expected one of position, velocity, effort, data for state.j1.source, received "speed"',
      'CONFIG_UNKNOWN_KEY: Expected a known parameter, received promt (nearest: prompt)',
    ]);
  });

  test('a_list_of_the_wrong_type_does_not_make_the_parameters_of_its_members_unknown', () => {
    expect(parameters.problems({ 'cameras.names': 'front' }).length).toBe(1);
  });
});

describe('the ROS declarations', () => {
  const overrides = new Map<string, unknown>(Object.entries({ ...MINIMAL, 'action.j1.binarize': 0.5 }));
  const declared = parameterDescriptors(overrides);
  const find = (name: string): object | undefined => declared.find((parameter) => parameter.name === name);

  test('have_concrete_names_without_duplicates', () => {
    const names = declared.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.includes('<'))).toEqual([]);
    expect(names).toEqual(expect.arrayContaining(['cameras.front.max_age', 'state.j2.scale', 'action.j2.upper']));
  });

  test('have_type_default_unit_and_range', () => {
    expect(find('control_rate')).toEqual({
      name: 'control_rate',
      type: 'double',
      description:
        'Control ticks per second; each step of a chunk is executed for one tick. Must be a number above 0 and at most 1000. Unit: Hz.',
      readOnly: true,
      range: { from: 0, to: 1000 },
    });
    expect(find('seed')).toMatchObject({ range: { from: 0, to: Number.MAX_SAFE_INTEGER } });
    expect(find('action.j2.max_velocity')).toMatchObject({ range: { from: 0, to: Infinity } });
    expect(find('action.j2.upper')).not.toHaveProperty('range');
    expect(find('threads')).toMatchObject({ type: 'integer', default: 0n, range: { from: 0, to: 1024 } });
    expect(find('prompt')).toMatchObject({ readOnly: false });
  });

  test('leave_optional_parameters_out_unless_given', () => {
    expect(find('action.j1.binarize')).toBeDefined();
    expect(find('action.j2.binarize')).toBeUndefined();
  });

  test('have_valid_defaults_and_texts_that_end_with_a_full_stop', () => {
    const { cameras, action } = parameters.config();
    expect(cameras.length + action.joints.length).toBe(3);
    for (const declaration of Object.values(SCHEMA)) expect(declaration.doc).toMatch(/\.$/);
  });
});
