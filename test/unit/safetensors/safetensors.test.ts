import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pi05Error } from '../../../src/errors.js';
import {
  parseSafetensors,
  readSafetensors,
  writeSafetensors,
  type SafetensorsTensor,
} from '../../../src/safetensors.js';
import { fixture } from '../root.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-safetensors-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A file's bytes from a header and a body, however wrong. */
function file(header: string | Uint8Array | object, body: Uint8Array = new Uint8Array(), length?: number): Uint8Array {
  const raw = header instanceof Uint8Array || typeof header === 'string';
  const json = Buffer.from(raw ? header : JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(length ?? json.length));
  return Buffer.concat([head, json, body]);
}

function rejection(bytes: Uint8Array): string {
  try {
    parseSafetensors(bytes, 'given.safetensors');
  } catch (error) {
    expect(error).toBeInstanceOf(Pi05Error);
    expect((error as Pi05Error).code).toBe('INVALID_ARGUMENT');
    expect((error as Pi05Error).source).toBe('given.safetensors');
    return (error as Pi05Error).message;
  }
  throw new Error('was not rejected');
}

const EVERY_DTYPE: [string, SafetensorsTensor][] = [
  ['u8', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 255) }],
  ['bool', { dtype: 'BOOL', shape: [2, 1], data: Uint8Array.of(1, 0) }],
  ['f16', { dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c00) }],
  ['bf16', { dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xbf80) }],
  ['i32', { dtype: 'I32', shape: [2], data: Int32Array.of(-1, 2147483647) }],
  ['f32', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -0.5, NaN, Infinity) }],
  ['f64', { dtype: 'F64', shape: [], data: Float64Array.of(Math.PI) }],
  ['i64', { dtype: 'I64', shape: [1], data: BigInt64Array.of(-(2n ** 62n)) }],
  ['empty', { dtype: 'F32', shape: [0, 4], data: new Float32Array() }],
];

describe('readSafetensors', () => {
  test('reads_a_golden_case_written_by_another_library', () => {
    const { tensors } = readSafetensors(fixture('pi05', 'tiny-openpi', 'case_one_camera.safetensors'));
    const mask = tensors.get('image_mask');
    expect(mask).toEqual({ dtype: 'I32', shape: [3], data: Int32Array.of(1, 0, 0) });
    const actions = tensors.get('actions');
    expect(actions?.shape).toEqual([10, 32]);
    expect(actions?.data).toBeInstanceOf(Float32Array);
    expect(tensors.get('image_0')?.data.length).toBe(224 * 224 * 3);
  });

  test('reads_the_metadata', () => {
    const { metadata } = readSafetensors(fixture('pi05', 'tiny-openpi', 'model.safetensors'));
    expect(Object.values(metadata)).toEqual(['paligemma_with_expert.paligemma.lm_head.weight']);
  });

  test('gives_back_what_was_written_in_every_dtype', () => {
    const path = join(directory, 'every.safetensors');
    writeSafetensors(path, EVERY_DTYPE, { rtc: 'guided', 'rtc-delay': '2' });
    const { tensors, metadata } = readSafetensors(path);
    expect(metadata).toEqual({ rtc: 'guided', 'rtc-delay': '2' });
    expect(new Map([...tensors].sort())).toEqual(new Map(EVERY_DTYPE.toSorted()));
  });

  test('copies_where_an_offset_is_not_aligned', () => {
    const header = { a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } };
    const json = JSON.stringify(header);
    const body = new Uint8Array(Float32Array.of(1.5).buffer);
    for (const pad of [0, 1, 2, 3]) {
      const { tensors } = parseSafetensors(file(json + ' '.repeat(pad), body), 'given');
      expect(tensors.get('a')?.data).toEqual(Float32Array.of(1.5));
    }
  });

  test.each([
    [
      'a tensor',
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      'a',
    ],
    ['a field', '{"a":{"dtype":"U8","shape":[2],"shape":[1],"data_offsets":[0,1]}}', 'shape'],
    [
      'metadata',
      '{"__metadata__":{"x\\"{":"1","x\\"{":"2"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      'x"{',
    ],
  ])('rejects_a_header_with_%s_twice', (_, header, name) => {
    expect(rejection(file(header, Uint8Array.of(7)))).toBe(
      `Expected each name once in the header, received ${name} twice from given.safetensors`,
    );
  });

  test('rejects_in_one_line_a_header_that_is_not_JSON_and_has_line_breaks', () => {
    expect(rejection(file('{"a":\n\n\u000b'))).toMatch(
      /^Expected a JSON header, received [^\n]+ from given.safetensors$/,
    );
  });

  test('names_that_differ_and_text_with_braces_and_colons_are_not_repeated', () => {
    const entry = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';
    const header = `{"__metadata__":{"a":"{\\"a\\":1}","b":"b","shape":":"},"shape":${entry}}`;
    expect([...parseSafetensors(file(header, Uint8Array.of(7)), 'x').tensors.keys()]).toEqual(['shape']);
  });

  test('names_a_file_that_is_not_there', () => {
    const path = join(directory, 'absent.safetensors');
    expect(() => readSafetensors(path)).toThrow(/Expected a readable .* ENOENT/);
  });

  test.each([
    ['fewer_than_8_bytes', new Uint8Array(7), /at least 8 bytes, received 7/],
    ['a_header_beyond_the_end', file('{}', undefined, 3), /received a length of 3/],
    ['a_negative_length', Buffer.alloc(16, 0xff), /received a length of 18446744073709551615/],
    ['a_header_that_is_not_json', file('{"a":'), /Expected a JSON header/],
    ['a_header_that_is_not_utf8', file(Buffer.of(0x22, 0xff, 0x22)), /Expected a JSON header/],
    ['a_header_that_is_a_list', file('[]'), /Expected a JSON object/],
    ['metadata_with_numbers', file({ __metadata__: { a: 1 } }), /__metadata__/],
    [
      'an_entry_without_shape',
      file({ a: { dtype: 'F32', data_offsets: [0, 0] } }),
      /dtype, shape and data_offsets for a/,
    ],
    ['a_negative_size', file({ a: { dtype: 'F32', shape: [-1], data_offsets: [0, 0] } }), /for a/],
    ['an_unknown_dtype', file({ a: { dtype: 'F8', shape: [0], data_offsets: [0, 0] } }), /for a, received F8/],
    [
      'a_dtype_of_the_prototype',
      file({ a: { dtype: 'toString', shape: [0], data_offsets: [0, 0] } }),
      /received toString/,
    ],
    [
      'a_range_of_another_size',
      file({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 4] } }),
      /Expected 8 bytes for a F32/,
    ],
    [
      'a_truncated_body',
      file({ a: { dtype: 'U8', shape: [4], data_offsets: [0, 4] } }, new Uint8Array(3)),
      /received 3/,
    ],
    [
      'bytes_left_over',
      file({ a: { dtype: 'U8', shape: [4], data_offsets: [0, 4] } }, new Uint8Array(5)),
      /Expected 4 bytes .* received 5/,
    ],
    [
      'a_gap',
      file({ a: { dtype: 'U8', shape: [1], data_offsets: [1, 2] } }, new Uint8Array(2)),
      /begin at byte 0, received 1/,
    ],
    [
      'an_overlap',
      file(
        { a: { dtype: 'U8', shape: [2], data_offsets: [0, 2] }, b: { dtype: 'U8', shape: [2], data_offsets: [1, 3] } },
        new Uint8Array(3),
      ),
      /Expected b to begin at byte 2/,
    ],
  ])('rejects_%s', (_claim, bytes, sentence) => {
    expect(rejection(bytes)).toMatch(sentence);
  });
});

describe('writeSafetensors', () => {
  test('writes_the_same_bytes_for_the_same_input', () => {
    const a = join(directory, 'a.safetensors');
    const b = join(directory, 'b.safetensors');
    writeSafetensors(a, EVERY_DTYPE);
    writeSafetensors(b, new Map(EVERY_DTYPE));
    expect(readFileSync(b).equals(readFileSync(a))).toBe(true);
  });

  test('rejects_data_that_does_not_fill_its_shape', () => {
    const short: SafetensorsTensor = { dtype: 'F32', shape: [2, 2], data: new Float32Array(3) };
    const path = join(directory, 'short.safetensors');
    expect(() => writeSafetensors(path, [['x', short]])).toThrow('Expected 4 values for x [2, 2], received 3');
  });

  test('names_a_directory_that_does_not_exist', () => {
    const path = join(directory, 'absent', 'x.safetensors');
    expect(() => writeSafetensors(path, [])).toThrow(/Expected a writable .* ENOENT/);
  });

  test('rejects_to_write_a_name_twice', () => {
    const tensor: SafetensorsTensor = { dtype: 'U8', shape: [1], data: Uint8Array.of(1) };
    expect(() =>
      writeSafetensors(join(directory, 'c'), [
        ['x', tensor],
        ['x', tensor],
      ]),
    ).toThrow(/x twice/);
  });
});
