import { describe, expect, test } from '@jest/globals';
import type { CommandMessage } from '../../../src/guard/protocol.js';
import { actionJoint } from '../pipeline/robot.js';
import { config, measured, PERIOD, Run } from './harness.js';

const LIMITS = { lower: -1, upper: 1, maxVelocity: 2, maxAcceleration: 10 };
const chunk = { name: 'arm', topic: 'arm', type: 'joint_trajectory_chunk', stamp: 'zero', joints: ['a'] } as const;
const array = { name: 'hand', topic: 'hand', type: 'float64_multi_array', stamp: 'zero', joints: ['b'] } as const;
const CONFIG = config(
  {},
  { action: { joints: [actionJoint('a', LIMITS), actionJoint('b', LIMITS)], bound: 'none' }, outputs: [chunk, array] },
);

/** A guard whose robot stands at 0; `send` gives it a command for joint `a` each period. */
class Chunks extends Run {
  constructor(parameters = CONFIG) {
    super(parameters);
    this.measured = measured([0, 0]);
    this.receive({ type: 'activate' });
  }

  /** @param following of joint `a`; joint `b` stays at 0. */
  send(a: number, following: readonly number[] | null, b = 0): string {
    this.advance(PERIOD);
    const message: CommandMessage = {
      type: 'command',
      time: this.now.ros,
      reason: 'step',
      values: Float64Array.of(a, b),
      observation: this.now.ros,
      following: following && following.map((value) => Float64Array.of(value, b)),
    };
    this.receive(message);
    return this.guard.cause === undefined ? this.last : `${this.last.split(' ')[0]} ${this.guard.cause.message}`;
  }
}

describe('a trajectory', () => {
  test('passes_with_its_rows_where_each_is_within_the_limits', () => {
    const run = new Chunks();
    expect(run.send(0.1, [0.3, 0.5, 0.6])).toBe('step 0.1 0');
    expect(run.published.at(-1)!.following).toEqual([0.3, 0.5, 0.6].map((value) => Float64Array.of(value, 0)));
    for (const value of [0.3, 0.5, 0.6, 0.6]) expect(run.send(value, null)).toBe(`step ${value} 0`);
    expect(run.published.at(-1)!.following).toBeUndefined();
  });

  test.each([
    ['position', [0.3, 0.5, 0.7, 0.9, 1], /Expected a at 0.86\d* within its limits after 0.7, received 0.9 in row 4/],
    ['velocity', [0.3, 0.5, 0.71], /received 0.71 in row 3/],
    ['acceleration', [0.3, 0.5, 0.5], /received 0.5 in row 3/],
    ['finite number', [0.3, NaN], /Expected a finite position for a, received NaN/],
  ])('with_a_row_beyond_the_limit_of_%s_stops_the_robot_before_its_first_row', (_, following, sentence) => {
    const run = new Chunks();
    run.send(0, []);
    expect(run.send(0.1, following)).toMatch(sentence);
    expect([run.last, run.guard.cause!.code]).toEqual(['stop 0 0', 'COMMAND_LIMIT']);
  });

  test('of_other_lengths_stops_the_robot', () => {
    const run = new Chunks();
    run.advance(PERIOD);
    const command = { type: 'command', time: run.now.ros, reason: 'step', observation: run.now.ros } as const;
    run.receive({ ...command, values: Float64Array.of(0, 0), following: [Float64Array.of(0)] });
    expect(run.guard.cause!.message).toBe('Expected 2 values in row 1 of a trajectory, received 1');
  });

  test('is_needed_before_the_first_command_and_after_a_stop', () => {
    const run = new Chunks();
    expect(run.send(0, null)).toMatch(/^nothing Expected a command that is the next row of its trajectory/);
    run.send(0, [0.1]);
    run.receive({ type: 'stop', code: 'ENGINE_FAILED', message: 'm' });
    expect(run.send(0, null)).toMatch(/^stop Expected a command that is the next row/);
  });

  test('is_what_later_commands_have_to_be', () => {
    const run = new Chunks();
    run.send(0.1, [0.2, 0.3]);
    run.send(0.2, null);
    expect(run.send(0.25, null)).toMatch(/^stop Expected a command that is the next row of its trajectory/);
  });

  test('does_not_bind_joints_of_other_outputs', () => {
    const run = new Chunks();
    run.send(0.1, [0.2]);
    expect(run.send(0.2, null, 0.05)).toBe('step 0.2 0.05');
  });

  test('without_an_output_for_it_stops_the_robot', () => {
    const run = new Chunks({ ...CONFIG, outputs: [array] });
    expect(run.send(0, [0])).toMatch(/Expected no trajectory without an output for it/);
  });

  test('ends_with_the_stop_action_when_commands_cease', () => {
    const run = new Chunks();
    run.send(0.1, [0.3, 0.5, 0.7, 0.8]);
    run.ticks(3);
    expect([run.last, run.guard.cause!.code, run.published.at(-1)!.following]).toEqual([
      'stop 0 0',
      'COMMAND_TIMEOUT',
      undefined,
    ]);
  });
});
