import { describe, expect, test } from '@jest/globals';
import { messageSize, newValue, ParameterTable } from '../../../src/ros/services/parameter-table.js';

const STRING = 4;
const INTEGER = 2;
const BYTES = 5;

function parameter(name: string, type: number, value: unknown, readOnly = true) {
  return { name, type, value, readOnly, descriptor: { name, type } };
}

function table(): ParameterTable {
  const parameters = new ParameterTable();
  parameters.declare([
    parameter('prompt', STRING, 'go', false),
    parameter('seed', INTEGER, 3n),
    parameter('cameras.wrist.topic', STRING, '/wrist'),
    parameter('cameras.names', STRING, 'wrist'),
  ]);
  return parameters;
}

test('values_types_and_descriptions_are_in_the_order_of_the_names_and_an_unknown_name_is_not_set', () => {
  const names = ['seed', 'none', 'prompt'];
  expect(table().get(names)).toEqual([{ type: 2, integer_value: 3n }, { type: 0 }, { type: 4, string_value: 'go' }]);
  expect(table().types(names)).toEqual([2, 0, 4]);
  expect(table().describe(names)).toEqual([{ name: 'seed', type: 2 }, { name: 'none' }, { name: 'prompt', type: 4 }]);
});

test('a_change_is_visible_at_once_and_adds_no_parameter', () => {
  const parameters = table();
  parameters.change([
    { name: 'prompt', type: STRING, value: 'stop' },
    { name: 'none', type: STRING, value: 'x' },
  ]);
  expect(parameters.get(['prompt', 'none'])).toEqual([{ type: 4, string_value: 'stop' }, { type: 0 }]);
  expect(parameters.reject({ name: 'prompt', type: STRING, value: 'go' })).toBeUndefined();
});

describe('list', () => {
  test.each([
    [[], 0, ['prompt', 'seed', 'cameras.wrist.topic', 'cameras.names'], ['cameras.wrist', 'cameras']],
    [[], 1, ['prompt', 'seed'], []],
    [['cameras'], 1, ['cameras.names'], ['cameras']],
    [['cameras'], 0, ['cameras.wrist.topic', 'cameras.names'], ['cameras.wrist', 'cameras']],
    [['seed', 'cameras.wrist'], 2, ['seed', 'cameras.wrist.topic'], ['cameras.wrist']],
    [['cam'], 0, [], []],
  ])('with_prefixes_%j_and_depth_%d', (prefixes, depth, names, parents) => {
    expect(table().list(prefixes, depth)).toEqual({ names, prefixes: parents });
  });
});

test('a_value_of_a_type_that_does_not_exist_is_rejected_with_its_number', () => {
  const value = newValue({ name: 'prompt', value: { type: 10, string_value: 'x' } });
  expect(value).toEqual({ name: 'prompt', type: 10, value: undefined });
  expect(table().reject(value)).toBe('Expected a string for prompt, received a value of type 10');
});

test('arrays_of_a_message_become_plain_ones', () => {
  const { value } = newValue({ name: 'x', value: { type: BYTES, byte_array_value: Uint8Array.of(1, 2) } });
  expect(value).toEqual([1, 2]);
});

test('the_size_of_a_message_counts_every_character_and_element_at_any_depth', () => {
  expect(messageSize({ names: ['ab', 'c'] })).toBe(5);
  expect(messageSize({ parameters: [{ name: 'ab', value: { type: 5, bytes: new Uint8Array(7), n: 1n } }] })).toBe(10);
});
