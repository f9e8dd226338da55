import { describe, expect, test } from '@jest/globals';
import { ChangedParameters } from './changed-parameters.js';
import { limitsOf } from './limits-of.js';

/** A limited tool. */
const BASE: Readonly<Record<string, unknown>> = {
  checkpoint: '/checkpoint',
  control_rate: 15,
  'schedule.replan_steps': 8n,
  'cameras.names': ['front'],
  'cameras.front.topic': 'front/image',
  'cameras.front.slot': 'base_0_rgb',
  'state.joints': ['j1'],
  'action.joints': ['j1'],
  'action.j1.kind': 'velocity',
  ...limitsOf('j1'),
  robot_description_file: 'arm.urdf',
  'safety.tool_link': 'hand',
  'safety.workspace.lower': [0, -1, 0],
  'safety.workspace.upper': Float64Array.of(1, 1, 1),
  'safety.max_tool_speed': 0.5,
  'safety.keep_out_planes.names': ['table'],
  'safety.keep_out_planes.table.normal': [0, 0, 1],
  'safety.keep_out_planes.table.offset': 0.1,
};

const parameters = new ChangedParameters(BASE);

const NO_LIMITS = {
  'safety.workspace.lower': undefined,
  'safety.workspace.upper': undefined,
  'safety.max_tool_speed': undefined,
  'safety.keep_out_planes.names': undefined,
  'safety.keep_out_planes.table.normal': undefined,
  'safety.keep_out_planes.table.offset': undefined,
};

test('the_limits_of_the_tool_are_read', () => {
  expect(parameters.config({}).tool).toEqual({
    link: 'hand',
    lower: [0, -1, 0],
    upper: [1, 1, 1],
    maxSpeed: 0.5,
    planes: [{ name: 'table', normal: [0, 0, 1], offset: 0.1 }],
  });
});

describe('rejects', () => {
  test.each<[string, Record<string, unknown>, string[]]>([
    [
      'limits_without_a_link',
      { 'safety.tool_link': '' },
      [
        'CONFIG_RANGE: Expected safety.tool_link with safety.workspace.lower, safety.workspace.upper, safety.max_tool_speed, ' +
          'safety.keep_out_planes.names, received none',
      ],
    ],
    [
      'a_link_without_limits',
      NO_LIMITS,
      [
        'CONFIG_RANGE: Expected safety.workspace.lower or upper, safety.max_tool_speed or safety.keep_out_planes.names with ' +
          'safety.tool_link, received none',
      ],
    ],
    [
      'a_tool_without_a_URDF',
      { robot_description_file: undefined },
      [
        'CONFIG_RANGE: Expected robot_description_topic or robot_description_file with safety.tool_link, received neither',
      ],
    ],
    [
      'an_empty_box',
      { 'safety.workspace.lower': [0, 1, 0] },
      ['CONFIG_RANGE: Expected safety.workspace.lower below its upper, received [0, 1, 0] and [1, 1, 1]'],
    ],
    [
      'a_plane_without_direction',
      { 'safety.keep_out_planes.table.normal': [0, 0, 0] },
      ['CONFIG_RANGE: Expected a direction for safety.keep_out_planes.table.normal, received [0, 0, 0]'],
    ],
    [
      'two_numbers_for_a_corner',
      { 'safety.workspace.lower': [0, 1] },
      ['CONFIG_RANGE: Expected 3 finite numbers (m) for safety.workspace.lower, received [0.0, 1.0]'],
    ],
    [
      'an_infinite_corner',
      { 'safety.workspace.lower': [0, 0, -Infinity] },
      ['CONFIG_RANGE: Expected 3 finite numbers (m) for safety.workspace.lower, received [0.0, 0.0, -.inf]'],
    ],
    [
      'integers_for_a_corner',
      { 'safety.workspace.lower': [0n, 0n, 0n] },
      [
        'CONFIG_TYPE: Expected a list of doubles for safety.workspace.lower, received the list [0, 0, 0] (write [0.0, 0.0, 0.0])',
      ],
    ],
  ])('%s', (_, changes, sentences) => expect(parameters.problems(changes)).toEqual(sentences));
});
