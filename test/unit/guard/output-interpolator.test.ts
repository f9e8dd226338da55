import { describe, expect, test } from '@jest/globals';
import type { ActionJoint } from '../../../src/config/config.js';
import type { Command } from '../../../src/frame/frame.js';
import { largestSteps, OutputInterpolator } from '../../../src/guard/output-interpolator.js';
import { limitPosition } from '../../../src/schedule/limits.js';
import { actionJoint, MS, random, robot, T0 } from '../pipeline/robot.js';

const LIMITS = { lower: -1, upper: 1, maxVelocity: 2, maxAcceleration: 10 };
const SAMPLE = 4n * MS;
const PERIOD = 100n * MS;

/** An output of one joint at 250 Hz with commands at 10 Hz. */
class Output {
  readonly interpolator: OutputInterpolator;
  now = T0;
  readonly sent: number[] = [];

  constructor(
    joint: ActionJoint,
    readonly measured: number | undefined = 0,
  ) {
    this.interpolator = new OutputInterpolator(robot({ action: { joints: [joint], bound: 'none' } }), 250);
  }

  /** A command, and the samples of `duration` ns from then on. */
  command(value: number, duration = PERIOD): number[] {
    const command: Command = { time: this.now, reason: 'step', values: Float64Array.of(value) };
    const measured = this.measured === undefined ? undefined : Float64Array.of(this.measured);
    this.interpolator.start(command, this.now, measured);
    return this.wait(duration);
  }

  wait(duration: bigint): number[] {
    const sent: number[] = [];
    for (const end = this.now + duration; this.now < end; this.now += SAMPLE) {
      const sample = this.interpolator.sample(this.now);
      if (sample !== undefined) sent.push(sample.values[0]!);
    }
    this.sent.push(...sent);
    return sent;
  }
}

const position = (measured?: number): Output => new Output(actionJoint('a', LIMITS), measured);
const velocity = (): Output => new Output(actionJoint('a', { ...LIMITS, kind: 'velocity' }));

describe('velocities', () => {
  test('change_linearly_within_one_control_period', () => {
    const output = velocity();
    const sent = output.command(0.5);
    expect(sent).toHaveLength(25);
    sent.forEach((value, i) => expect(value).toBeCloseTo(0.02 * (i + 1), 9));
    expect(output.wait(2n * PERIOD).every((value) => Math.abs(value - 0.5) < 1e-9)).toBe(true);
  });

  test('fall_at_once_where_a_command_brakes_harder_than_the_acceleration', () => {
    const output = velocity();
    output.command(1);
    output.command(2);
    expect(output.command(0.1)[0]).toBe(0.1);
  });
});

describe('positions', () => {
  test('of_equal_steps_move_at_their_speed_one_period_behind', () => {
    const output = position();
    for (let i = 1; i <= 6; i++) output.command(0.05 * i);
    const last = output.sent.slice(-25);
    expect(last.at(-1)).toBeCloseTo(0.25, 6);
    last.slice(1).forEach((value, i) => expect(value - last[i]!).toBeCloseTo(0.002, 6));
  });

  test('begin_where_the_joint_is_measured_or_at_the_first_command', () => {
    expect(position(0.3).command(0.35)[0]).toBeCloseTo(0.3, 3);
    expect(new Output(actionJoint('a', LIMITS), NaN).command(0.35)[0]).toBeCloseTo(0.35, 9);
  });

  test('come_to_rest_at_a_command_that_is_repeated', () => {
    const output = position();
    for (const value of [0.1, 0.2, 0.25, 0.25, 0.25, 0.25, 0.25]) output.command(value);
    expect(output.sent.at(-1)).toBeCloseTo(0.25, 6);
  });
});

test('nothing_is_sent_after_a_stop_and_motion_begins_again_from_where_the_joint_is', () => {
  const output = position(0.3);
  output.command(0.35);
  output.interpolator.stop();
  expect(output.wait(PERIOD)).toEqual([]);
  expect(output.command(0.31)[0]).toBeCloseTo(0.3, 3);
});

test('a_sample_directly_after_another_is_none', () => {
  const output = position();
  output.command(0.05, SAMPLE);
  output.now += 1n * MS - SAMPLE;
  expect(output.interpolator.sample(output.now)).toBeUndefined();
});

test('random_commands_that_come_early_and_late_break_no_limit_between_them', () => {
  const worst = { velocity: 0, acceleration: 0, ramp: 0, outside: 0 };
  /** In control periods at full speed. */
  const behind: number[] = [];
  let samples = 0;
  for (let seed = 0; seed < 40; seed++) {
    const next = random(seed);
    const limits = {
      lower: -0.3 - next(),
      upper: 0.3 + next(),
      maxVelocity: 0.5 + next() * 2,
      maxAcceleration: 2 + next() * 20,
    };
    const joints = [actionJoint('a', limits), actionJoint('b', { ...limits, kind: 'velocity' })];
    const interpolator = new OutputInterpolator(robot({ action: { joints, bound: 'none' } }), 250);
    let [now, due] = [T0, T0];
    let motion = { position: 0, velocity: 0 };
    let speed = 0;
    let sent: { readonly at: bigint; readonly values: Float64Array; readonly velocity: number } | undefined;
    for (let tick = 0; tick < 150; tick++) {
      const hold = next() < 0.2;
      const wanted = hold ? motion.position : (next() - 0.5) * 3;
      const value = limitPosition(wanted, joints[0]!, motion, 0.1);
      motion = { position: value, velocity: (value - motion.position) / 0.1 };
      const change = (next() - 0.5) * 2 * limits.maxAcceleration * 0.1;
      speed = Math.max(-limits.maxVelocity, Math.min(limits.maxVelocity, speed + change));
      interpolator.start(
        { time: now, reason: 'step', values: Float64Array.of(value, speed) },
        now,
        Float64Array.of(0, 0),
      );
      due += PERIOD;
      // The command is up to 30 ms late, and each timer up to 2 ms.
      const end = due + (next() < 0.3 ? BigInt(Math.floor(next() * 30)) * MS : 0n);
      while (now < end) {
        const sample = interpolator.sample(now);
        if (sample !== undefined) {
          samples++;
          const seconds = sent === undefined ? 0.004 : Math.max(0.004, Number(now - sent.at) / 1e9);
          const before = sent ?? { values: Float64Array.of(0, 0), velocity: 0 };
          const [p, v] = [sample.values[0]!, sample.values[1]!];
          worst.outside = Math.max(worst.outside, p - limits.upper, limits.lower - p);
          const velocity = (p - before.values[0]!) / seconds;
          worst.velocity = Math.max(worst.velocity, Math.abs(velocity) / limits.maxVelocity);
          const acceleration = Math.abs(velocity - before.velocity) / seconds / limits.maxAcceleration;
          worst.acceleration = Math.max(worst.acceleration, acceleration);
          const rises = Math.abs(v) > Math.abs(before.values[1]!);
          if (rises)
            worst.ramp = Math.max(worst.ramp, Math.abs(v - before.values[1]!) / seconds / limits.maxAcceleration);
          behind.push(Math.abs(p - value) / (limits.maxVelocity * 0.1));
          sent = { at: now, values: sample.values, velocity };
        }
        now += SAMPLE + BigInt(Math.floor(next() * 2)) * MS;
      }
    }
  }
  expect(samples).toBeGreaterThan(100_000);
  expect(worst.outside).toBeLessThanOrEqual(1e-9);
  expect(worst.velocity).toBeLessThanOrEqual(1 + 1e-9);
  expect(worst.acceleration).toBeLessThanOrEqual(1 + 1e-6);
  expect(worst.ramp).toBeLessThanOrEqual(1 + 1e-9);
  behind.sort((a, b) => a - b);
  // At the beginning of a period the spline is two periods behind the command that has just come.
  expect(behind[Math.floor(0.99 * behind.length)]).toBeLessThan(2.2);
  expect(behind.at(-1)).toBeLessThan(4);
});

test('the_step_that_remains_is_named_for_each_output', () => {
  const joints = [actionJoint('a', LIMITS), actionJoint('b', { ...LIMITS, kind: 'velocity' })];
  const base = { topic: 't', type: 'float64_multi_array', stamp: 'zero' } as const;
  const outputs = [
    { ...base, name: 'arm', joints: ['b'] },
    { ...base, name: 'hand', joints: ['a'] },
  ];
  const config = robot({ action: { joints, bound: 'none' }, outputs });
  expect(largestSteps(config, 250)).toBe('arm: 0.04 rad/s or m/s; hand: 0.008 rad or m');
});
