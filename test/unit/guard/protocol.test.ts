import { describe, expect, test } from '@jest/globals';
import {
  configHash,
  encodeMessage,
  type GuardMessage,
  LineReader,
  MAX_LINE,
  parseGuardMessage,
  parsePolicyMessage,
  type PolicyMessage,
} from '../../../src/guard/protocol.js';
import { actionJoint, MS, robot } from '../pipeline/robot.js';

const POLICY_MESSAGES: readonly PolicyMessage[] = [
  { type: 'attach', protocol: 1, node: '/left/policy_node', config: 'a1', pid: 7 },
  { type: 'activate' },
  { type: 'deactivate' },
  { type: 'tick' },
  { type: 'repeat_stop' },
  {
    type: 'command',
    time: 1_700_000_000_000_000_001n,
    reason: 'step',
    values: Float64Array.of(0.1, -2),
    observation: 5n,
    following: [Float64Array.of(0.2, -2), Float64Array.of(0.3, -2)],
  },
  { type: 'command', time: 0n, reason: 'hold', values: Float64Array.of(1), observation: null, following: null },
  { type: 'stop', code: 'ENGINE_FAILED', message: 'line one\nline two' },
  { type: 'detach' },
];
const GUARD_MESSAGES: readonly GuardMessage[] = [
  { type: 'attached', pid: 3, latched: null },
  { type: 'attached', pid: 3, latched: { code: 'POLICY_LOST', message: 'm' } },
  { type: 'refused', code: 'GUARD_CONFIG', message: 'm' },
  { type: 'heartbeat' },
  { type: 'deactivated', acknowledged: true },
  { type: 'stopped', code: 'COMMAND_TIMEOUT', message: 'm', time: 9n },
  { type: 'latched', code: 'POLICY_SILENT', message: 'm' },
  { type: 'released', time: 12n },
];

/** The error code of `action`, or its result. */
function codeOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('a message', () => {
  test.each([...POLICY_MESSAGES])('of_the_policy_is_the_same_after_its_line: %j.type', (message) => {
    const line = encodeMessage(message);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(parsePolicyMessage(line.slice(0, -1))).toEqual(message);
  });

  test.each([...GUARD_MESSAGES])('of_the_guard_is_the_same_after_its_line', (message) => {
    expect(parseGuardMessage(encodeMessage(message).slice(0, -1))).toEqual(message);
  });

  test('keeps_every_bit_of_its_numbers_and_turns_infinities_into_nan', () => {
    const values = Float64Array.of(0.1 + 0.2, -5e-324, Number.MAX_VALUE, NaN, Infinity, -Infinity);
    const message = { type: 'command', time: 1n, reason: 'step', values, observation: null, following: null } as const;
    const parsed = parsePolicyMessage(encodeMessage(message).trimEnd());
    expect(parsed.type === 'command' && [...parsed.values]).toEqual([...values.subarray(0, 3), NaN, NaN, NaN]);
  });

  test.each([
    '',
    'null',
    '[]',
    '"tick"',
    '{"type":"tick"',
    '{"type":"fly"}',
    '{"type":"toString"}',
    '{"type":"heartbeat"}',
    '{}',
    '{"type":"tick","extra":1}',
    '{"type":"tick","__proto__":1}',
    '{"type":"attach","protocol":1,"node":"/n","config":"a"}',
    '{"type":"attach","protocol":"1","node":"/n","config":"a","pid":1}',
    '{"type":"attach","protocol":1.5,"node":"/n","config":"a","pid":1}',
    '{"type":"attach","protocol":1,"node":"/n","config":"a","pid":-1}',
    '{"type":"stop","code":"A","message":null}',
    ...[
      ['5', '"step"', '[0]', 'null'],
      ['"-5"', '"step"', '[0]', 'null'],
      ['"0x5"', '"step"', '[0]', 'null'],
      ['"99999999999999999999"', '"step"', '[0]', 'null'],
      ['"2147483648000000000"', '"step"', '[0]', 'null'],
      ['"5"', '"step"', '[0]', '"2147483648000000000"'],
      ['"5"', '"stop"', '[0]', 'null'],
      ['"5"', '"step"', '["0"]', 'null'],
      ['"5"', '"step"', '{"0":0}', 'null'],
      ['"5"', '"step"', '[0]', '5'],
      ['"5"', '"step"', '[0]', 'null', '[0]'],
      ['"5"', '"step"', '[0]', 'null', '[["0"]]'],
      ['"5"', '"step"', '[0]', 'null', '{}'],
    ].map(
      ([time, reason, values, observation, following = 'null']) =>
        `{"type":"command","time":${time},"reason":${reason},"values":${values},"observation":${observation},"following":${following}}`,
    ),
  ])('of_another_form_is_refused: %s', (line) => {
    expect(codeOf(() => parsePolicyMessage(line))).toBe('GUARD_LINK');
  });

  test('of_the_guard_with_a_cause_of_another_form_is_refused', () => {
    for (const latched of ['{"code":"A"}', '{"code":"A","message":"m","more":1}', '[]', '0']) {
      expect(codeOf(() => parseGuardMessage(`{"type":"attached","pid":1,"latched":${latched}}`))).toBe('GUARD_LINK');
    }
  });
});

describe('LineReader', () => {
  test('joins_lines_that_arrive_in_pieces_and_splits_pieces_with_several_lines', () => {
    const reader = new LineReader();
    const push = (text: string): string[] => reader.push(Buffer.from(text));
    expect([push('a'), push('b\nc'), push('\n\nd\n'), push('e'), push('\n')]).toEqual([
      [],
      ['ab'],
      ['c', '', 'd'],
      [],
      ['e'],
    ]);
  });

  test('joins_a_character_whose_bytes_arrive_apart', () => {
    const reader = new LineReader();
    const bytes = Buffer.from('é\n');
    expect([...reader.push(bytes.subarray(0, 1)), ...reader.push(bytes.subarray(1))]).toEqual(['é']);
  });

  test('accepts_a_line_of_the_largest_length_and_refuses_a_longer_one_before_its_end', () => {
    expect(new LineReader().push(Buffer.from(`${'x'.repeat(MAX_LINE)}\n`))).toHaveLength(1);
    expect(codeOf(() => new LineReader().push(Buffer.from(`${'x'.repeat(MAX_LINE + 1)}\n`)))).toBe('GUARD_LINK');
    const reader = new LineReader();
    expect(reader.push(Buffer.alloc(MAX_LINE, 'x'))).toEqual([]);
    expect(codeOf(() => reader.push(Buffer.from('x')))).toBe('GUARD_LINK');
  });
});

describe('configHash', () => {
  const joint = actionJoint('a', { upper: 1 });
  const base = robot({ action: { joints: [joint], bound: 'none' } });
  const hash = configHash(base, false);

  test('is_the_same_for_equal_parameters_and_for_those_that_the_guard_does_not_use', () => {
    expect(configHash({ ...base, action: { bound: 'none', joints: [{ ...joint }] } }, false)).toBe(hash);
    expect(configHash({ ...base, prompt: 'other', seed: 5n, checkpoint: '/other', cameras: [] }, false)).toBe(hash);
  });

  test.each([
    { controlRate: 11 },
    { outputRate: 200 },
    { schedule: { ...base.schedule, lockstep: true } },
    { state: { ...base.state, maxAge: base.state.maxAge + MS } },
    { state: { ...base.state, topic: 'other' } },
    { action: { ...base.action, joints: [{ ...joint, upper: Infinity }] } },
    { action: { ...base.action, joints: [{ ...joint, maxVelocity: 1 }] } },
    { outputs: [{ name: 'o', topic: 't', type: 'joint_trajectory', stamp: 'zero', joints: ['a'] }] },
    { outputs: [{ name: 'o', topic: 't', type: 'joint_trajectory', stamp: 'now', joints: ['a'] }] },
    { safety: { ...base.safety, latch: ['TICK_LATE'] } },
  ] as const)('changes_with_what_the_guard_uses: %#', (changes) => {
    expect(configHash({ ...base, ...changes }, false)).not.toBe(hash);
  });

  test('changes_with_use_sim_time', () => expect(configHash(base, true)).not.toBe(hash));
});
