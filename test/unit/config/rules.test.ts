import { describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { configFromParameters } from '../../../src/config/parameters.js';
import { ChangedParameters } from './changed-parameters.js';
import { limitsOf } from './limits-of.js';

const BASE: Readonly<Record<string, unknown>> = {
  checkpoint: '/checkpoint',
  control_rate: 15,
  'schedule.replan_steps': 8n,
  'cameras.names': ['front', 'wrist'],
  'cameras.front.topic': 'front/image',
  'cameras.front.slot': 'base_0_rgb',
  'cameras.wrist.topic': 'wrist/image',
  'cameras.wrist.slot': 'left_wrist_0_rgb',
  'state.joints': ['j1', 'j2', 'grip'],
  'action.joints': ['j1', 'j2', 'grip'],
  'action.j1.kind': 'velocity',
  'action.j2.kind': 'delta',
  'action.grip.kind': 'position',
  'action.grip.gripper': true,
  ...limitsOf('j1', 'j2', 'grip'),
  'outputs.names': ['arm', 'hand'],
  'outputs.arm.topic': 'arm/commands',
  'outputs.arm.type': 'float64_multi_array',
  'outputs.arm.joints': ['j1', 'j2'],
  'outputs.hand.topic': 'hand/commands',
  'outputs.hand.type': 'joint_trajectory',
  'outputs.hand.joints': ['grip'],
};

const parameters = new ChangedParameters(BASE);

test('the_configuration_that_these_tests_change_breaks_no_rule', () => expect(parameters.problems({})).toEqual([]));

describe('rejects', () => {
  test.each<[string, Record<string, unknown>, string[]]>([
    [
      'an_injected_delay_after_which_every_chunk_is_late',
      { 'schedule.injected_delay': 2, 'schedule.engine_timeout': 2 },
      [
        'CONFIG_RANGE: Expected schedule.injected_delay below schedule.engine_timeout, after which a chunk is not used, received 2 and 2 s',
      ],
    ],
    [
      'a_jitter_with_which_chunks_may_be_late',
      { 'schedule.injected_delay': 0.5, 'schedule.injected_jitter': 1.75, 'schedule.engine_timeout': 2 },
      [
        'CONFIG_RANGE: Expected schedule.injected_delay below schedule.engine_timeout, after which a chunk is not used, received 0.5 + 1.75 of schedule.injected_jitter and 2 s',
      ],
    ],
    [
      'two_cameras_on_one_topic',
      { 'cameras.wrist.topic': 'front/image' },
      ['CAMERA_DUPLICATE: Expected a different topic for each camera, received front/image for front and wrist'],
    ],
    [
      'two_cameras_in_one_slot',
      { 'cameras.wrist.slot': 'base_0_rgb' },
      ['CONFIG_RANGE: Expected a different slot for each camera, received base_0_rgb for front and wrist'],
    ],
    [
      'a_camera_named_twice',
      { 'cameras.names': ['front', 'wrist', 'front'] },
      ['CONFIG_RANGE: Expected each name once in cameras.names, received front twice'],
    ],
    [
      'no_camera',
      {
        'cameras.names': [],
        ...Object.fromEntries(
          Object.keys(BASE)
            .filter((key) => /^cameras\.\w+\.\w/.test(key))
            .map((key) => [key, undefined]),
        ),
      },
      ['CONFIG_RANGE: Expected one or more names in cameras.names, received none'],
    ],
    [
      'image_sizes_in_the_wrong_order',
      { 'image.min_size': 100n, 'image.max_size': 99n },
      ['CONFIG_RANGE: Expected image.min_size up to image.max_size, received 100 and 99'],
    ],
    [
      'joints_where_there_is_no_state',
      { 'state.mode': 'none', 'action.j2.kind': 'velocity' },
      ['CONFIG_RANGE: Expected no names in state.joints with state.mode none, received j1, j2, grip'],
    ],
    [
      'a_state_without_joints',
      { 'state.joints': [], 'action.j2.kind': 'velocity' },
      ['CONFIG_RANGE: Expected one or more names in state.joints with state.mode joints, received none'],
    ],
    [
      'a_number_without_a_topic_of_its_own',
      { 'state.grip.source': 'data' },
      ['CONFIG_RANGE: Expected a topic of its own for state.grip.topic with source data, received none'],
    ],
    [
      'a_number_on_the_topic_of_another_joint',
      { 'state.grip.source': 'data', 'state.grip.topic': 'width', 'state.j1.topic': 'width' },
      ['CONFIG_RANGE: Expected a topic of its own for state.grip.topic with source data, received width of j1'],
    ],
    [
      'a_number_for_several_joints',
      { 'outputs.arm.type': 'float64' },
      ['CONFIG_RANGE: Expected one name in outputs.arm.joints with type float64, received j1, j2'],
    ],
    [
      'state_limits_in_the_wrong_order',
      { 'state.j1.lower': 1, 'state.j1.upper': -1 },
      ['CONFIG_RANGE: Expected state.j1.lower below its upper, received 1 and -1'],
    ],
    [
      'action_limits_in_the_wrong_order',
      { 'action.j1.lower': 1, 'action.j1.upper': 1 },
      ['CONFIG_RANGE: Expected lower below upper for j1, received 1 and 1'],
    ],
    [
      'a_gripper_with_velocity_commands',
      { 'action.grip.kind': 'velocity', 'outputs.hand.type': 'float64_multi_array' },
      [
        'CONFIG_RANGE: Expected kind position or delta for the gripper grip, whose last command is kept, received velocity',
      ],
    ],
    [
      'deltas_of_a_joint_without_state',
      { 'state.joints': ['j1', 'grip'] },
      ['CONFIG_RANGE: Expected the position of j2 in the state, since its deltas are added to it, received none'],
    ],
    [
      'deltas_of_a_joint_whose_velocity_is_the_state',
      { 'state.j2.source': 'velocity' },
      [
        'CONFIG_RANGE: Expected the position of j2 in the state, since its deltas are added to it, received its velocity',
      ],
    ],
    [
      'deltas_in_other_units_than_the_state',
      { 'state.j2.scale': 2 },
      [
        'CONFIG_RANGE: Expected the same scale, offset and transform for the state and the deltas of j2, received × 2 + 0 and × 1 + 0',
      ],
    ],
    [
      'a_position_command_for_a_joint_that_is_not_measured',
      { 'action.j2.kind': 'position', 'state.joints': ['j1', 'grip'] },
      ['CONFIG_RANGE: Expected the position of j2 in the state, since the stop action holds it, received none'],
    ],
    [
      'position_limits_of_a_velocity_joint_that_is_not_measured',
      { 'state.joints': ['j2', 'grip'], 'action.j1.upper': 1 },
      [
        'CONFIG_RANGE: Expected the position of j1 in the state, since position limits stop its velocity, received none',
      ],
    ],
    [
      'integrated_velocities_of_a_joint_that_is_not_measured',
      { 'outputs.arm.type': 'joint_trajectory', 'action.j1.max_velocity': 2, 'state.joints': ['j2', 'grip'] },
      [
        'CONFIG_RANGE: Expected the position of j1 in the state, since its velocity is integrated from there, received none',
      ],
    ],
    [
      'integrated_velocities_of_a_joint_whose_velocity_is_the_state',
      { 'outputs.arm.type': 'joint_trajectory', 'action.j1.max_velocity': 2, 'state.j1.source': 'velocity' },
      [
        'CONFIG_RANGE: Expected the position of j1 in the state, since its velocity is integrated from there, received its velocity',
      ],
    ],
    [
      'an_output_of_an_unknown_joint',
      { 'outputs.arm.joints': ['j1', 'j2', 'j3'] },
      ['CONFIG_RANGE: Expected names of action.joints in outputs.arm.joints, received j3'],
    ],
    [
      'a_joint_sent_twice',
      { 'outputs.hand.joints': ['grip', 'j2'] },
      ['CONFIG_RANGE: Expected j2 in one output, received it in 2 places'],
    ],
    [
      'a_joint_sent_nowhere',
      { 'outputs.arm.joints': ['j1'] },
      ['CONFIG_RANGE: Expected every action joint in one output, received none for j2'],
    ],
    [
      'a_stamp_of_an_output_whose_messages_have_none',
      { 'outputs.arm.stamp': 'now' },
      [
        'CONFIG_RANGE: Expected zero for outputs.arm.stamp, because std_msgs/Float64MultiArray has no header, received now',
      ],
    ],
    [
      'velocities_in_an_output_of_whole_trajectories',
      { 'outputs.arm.type': 'joint_trajectory_chunk' },
      [
        'CONFIG_RANGE: Expected joints of kind position or delta in outputs.arm of type joint_trajectory_chunk, because where velocities lead is measured at each control tick, received j1: use joint_trajectory',
      ],
    ],
    [
      'an_output_rate_below_the_control_rate',
      { output_rate: 10, control_rate: 15 },
      ['CONFIG_RANGE: Expected output_rate of at least control_rate, received 10 and 15'],
    ],
    [
      'an_output_rate_with_relative_commands',
      { output_rate: 100, 'action.j1.joint': false },
      ['CONFIG_RANGE: Expected no output_rate with relative commands, which the robot adds up, received it with j1'],
    ],
    [
      'two_outputs_on_one_topic',
      { 'outputs.hand.topic': 'arm/commands' },
      ['CONFIG_RANGE: Expected different topics for all outputs and chunk_topic, received arm/commands 2 times'],
    ],
    [
      'an_output_on_the_chunk_topic',
      { 'outputs.hand.topic': '~/chunk' },
      ['CONFIG_RANGE: Expected different topics for all outputs and chunk_topic, received ~/chunk 2 times'],
    ],
  ])('%s', (_, changes, sentences) => expect(parameters.problems(changes)).toEqual(sentences));
});

describe('allows', () => {
  test('a_trajectory_of_velocities_and_deltas_of_which_only_the_velocities_are_integrated', () => {
    const changes = { 'outputs.arm.type': 'joint_trajectory', 'action.j1.max_velocity': 2 };
    expect(parameters.problems(changes)).toEqual([]);
    const integrated = ({ action }: PolicyConfig): boolean[] => action.joints.map((joint) => joint.integrated);
    const entries = (more: object): [string, unknown][] => Object.entries({ ...BASE, ...more });
    expect(integrated(configFromParameters(new Map(entries(changes))))).toEqual([true, false, false]);
    expect(integrated(configFromParameters(new Map(entries({}))))).toEqual([false, false, false]);
  });

  test('LIBERO: no state, deltas that the robot adds up itself, and chunks only', () => {
    const entries = Object.keys(BASE).filter((key) => /^(outputs|state|action)\./.test(key));
    expect(
      parameters.problems({
        ...Object.fromEntries(entries.map((key) => [key, undefined])),
        'state.mode': 'none',
        'action.joints': ['x', 'hand'],
        'action.x.kind': 'velocity',
        'action.x.joint': false,
        'action.x.lower': -1,
        'action.x.upper': 1,
        'action.hand.kind': 'position',
        'action.hand.joint': false,
        'action.hand.gripper': true,
        'action.hand.lower': -1,
        'action.hand.upper': 1,
      }),
    ).toEqual([]);
  });
});

test('rules_skip_parameters_that_already_have_a_problem', () => {
  expect(parameters.problems({ 'cameras.wrist.slot': 'base', 'action.j1.lower': 5n })).toEqual([
    'CONFIG_RANGE: Expected one of base_0_rgb, left_wrist_0_rgb, right_wrist_0_rgb for cameras.wrist.slot, received "base"',
    'CONFIG_TYPE: Expected a double for action.j1.lower, received the integer 5 (write 5.0)',
  ]);
});

describe('safety', () => {
  test('codes_that_latch_must_exist', () => {
    expect(parameters.problems({ 'safety.latch': ['ENGINE_FAILED', 'CAMERA_STALE'] })).toEqual([]);
    expect(parameters.problems({ 'safety.latch': ['ENGINE_FAILED', 'CAMERA_LOST'] })).toEqual([
      'CONFIG_RANGE: Expected codes of faults or refusals in safety.latch, received CAMERA_LOST',
    ]);
  });
});
