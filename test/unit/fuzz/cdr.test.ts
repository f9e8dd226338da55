import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { packageRoot } from '../root.js';
import { readReference, type TypeName, type Value } from './cdr-reference.js';
import { CDR_TARGETS } from './cdr-targets.js';
import { fuzzCdr } from './fuzz-cdr.js';
import { fuzzRobotDescription } from './fuzz-robot-description.js';

const TYPES = Object.keys(CDR_TARGETS) as TypeName[];
const COUNT = 10_000;
const SEED = 20261129;
const TIMEOUT = 120_000;
/** Of each type, accepted messages that a third reader reads. */
const SAMPLE = 150;

const directory = mkdtempSync(join(tmpdir(), 'pi05-fuzz-'));
afterAll(() => rmSync(directory, { recursive: true }));

test.each(TYPES)(
  'a_changed_%s_is_refused_with_a_code_or_has_the_values_of_its_bytes',
  (type) => {
    const { accepted, refused, wrong } = fuzzCdr(type, COUNT, SEED);
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(accepted).toBeGreaterThan(COUNT / 100);
    for (const code of refused.keys()) expect(['IMAGE_DATA', 'MESSAGE_DATA']).toContain(code);
    expect([...refused.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(COUNT / 100);
  },
  TIMEOUT,
);

test(
  'a_changed_robot_description_is_refused_with_a_code_or_is_a_tree_of_joints_with_finite_numbers',
  () => {
    const { accepted, refused, wrong } = fuzzRobotDescription(COUNT, SEED);
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(accepted).toBeGreaterThan(COUNT / 100);
    expect([...refused.keys()].sort()).toEqual(['MESSAGE_DATA', 'ROBOT_DESCRIPTION_DATA']);
  },
  TIMEOUT,
);

/** As `rosbags_reader.py` prints it. */
function printed(value: Value, isFloat = false): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (typeof value === 'number') return isFloat ? float64(value) : value;
  if (Array.isArray(value)) return value.map((item: Value) => printed(item, isFloat));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, printed(item, FLOATS.has(key))]));
}

const FLOATS = new Set(['position', 'velocity', 'positions', 'velocities', 'accelerations', 'effort']);

function float64(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString('hex');
}

test(
  'rosbags_reads_the_same_values_from_the_messages_that_are_accepted',
  () => {
    const lines: { type: TypeName; cdr: Uint8Array }[] = [];
    // rosbags gives a message without fields one.
    for (const type of TYPES.filter((name) => name !== 'std_msgs/msg/Empty')) {
      let left = SAMPLE;
      fuzzCdr(type, COUNT / 10, SEED + 1, (cdr) => {
        if (left-- > 0) lines.push({ type, cdr });
      });
    }
    const file = join(directory, 'messages.txt');
    writeFileSync(file, lines.map(({ type, cdr }) => `${type} ${Buffer.from(cdr).toString('hex')}\n`).join(''));
    const python = join(packageRoot, '.pi05', 'venv', 'bin', 'python');
    const script = join(packageRoot, 'test', 'unit', 'fuzz', 'rosbags_reader.py');
    const output = execFileSync(python, [script, file], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const third = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(third).toHaveLength(lines.length);
    let compared = 0;
    for (const [i, { type, cdr }] of lines.entries()) {
      if (third[i] === null) continue;
      compared++;
      expect([type, third[i]]).toEqual([type, comparable(type, readReference(type, cdr)!.value)]);
    }
    // rosbags reads no text that is not UTF-8, which the node accepts in names of frames.
    expect(compared).toBeGreaterThan(0.5 * lines.length);
  },
  TIMEOUT,
);

/** The fields with floats and bytes as the third reader prints them. */
function comparable(type: TypeName, value: { readonly [field: string]: Value }): unknown {
  const { data, ...others } = value;
  const fields = printed(others) as Record<string, unknown>;
  if (data === undefined) return fields;
  if (type === 'std_msgs/msg/Bool') return { data: data !== 0 };
  if (type.startsWith('sensor_msgs')) return { ...fields, data: Array.from(data as Uint8Array) };
  return { ...fields, data: printed(data, type.includes('Float64')) };
}
