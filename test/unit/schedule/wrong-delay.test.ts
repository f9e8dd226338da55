import { describe, expect, test } from '@jest/globals';
import type { ScheduleConfig } from '../../../src/config/config.js';
import { Schedule } from '../../../src/schedule/schedule.js';
import { actionJoint, random, SECOND } from '../pipeline/robot.js';
import { chunk, config, Harness, positions, TICK } from './harness.js';

const ROWS = 16;
const TRAINED_MAX_DELAY = 4;
/** What the schedule counts with, relative to the true delay; undefined = the estimate. */
const FACTORS = [undefined, 0.5, 1, 1.5, 2, 3];

/**
 * Executes chunks whose rows are numbered along the plan, and which arrive after 0 to 2 `delay` ticks.
 * @returns the number of each tick's step; undefined where the robot holds.
 */
function executed(schedule: Partial<ScheduleConfig>, delay: number, jitter: boolean, ticks: number): unknown[] {
  const next = random(delay + 1);
  // Fast joints, so that what is executed is what is planned.
  const joints = positions.map(({ name }) =>
    actionJoint(name, { upper: 1e6, maxVelocity: 1e9, maxAcceleration: 1e12 }),
  );
  const harness = new Harness(config(joints, { replanSteps: 6, engineTimeout: 10n * SECOND, ...schedule }));
  let arrival: { tick: number; deliver: () => void } | undefined;
  let steps = 0;
  return Array.from({ length: ticks }, (_, tick) => {
    if (arrival === undefined && harness.schedule.wantsInference) {
      const [stamp, first] = [harness.now, steps];
      const rows = Array.from({ length: ROWS }, (_, row) => [first + row, first + row]);
      const ticket = harness.schedule.requestInference(stamp);
      const deliver = (): void => void harness.schedule.accept(ticket, chunk(stamp, rows), harness.now);
      arrival = { tick: tick + (jitter ? Math.floor(next() * (2 * delay + 1)) : delay), deliver };
    }
    if (arrival !== undefined && tick >= arrival.tick) {
      arrival.deliver();
      arrival = undefined;
    }
    const { command } = harness.tick();
    if (command?.reason !== 'step') return undefined;
    steps++;
    return Math.round(command.values[0]!);
  });
}

describe.each(['rtc', 'rtc_trained'] as const)('%s', (mode) => {
  test.each(FACTORS)(
    'no_step_is_executed_twice_or_left_out_when_the_delay_is_taken_as_%s_times_the_true_one',
    (factor) => {
      for (const delay of [0, 1, 2, 4, 8]) {
        for (const jitter of [false, true]) {
          const fixed = factor === undefined ? undefined : BigInt(Math.round(factor * delay)) * TICK;
          const numbers = executed({ mode, delay: fixed, maxChunkAge: 10n * SECOND }, delay, jitter, 200);
          const done = numbers.filter((number) => number !== undefined);
          expect(done.length).toBeGreaterThan(60);
          expect(done).toEqual(done.map((_, i) => i));
        }
      }
    },
  );
});

describe('rtc_trained', () => {
  const start = (delay: bigint | undefined): Schedule => {
    const harness = new Harness(config(positions, { mode: 'rtc_trained', replanSteps: 6, delay }));
    const schedule = new Schedule(config(positions, { mode: 'rtc_trained', replanSteps: 6, delay }), TRAINED_MAX_DELAY);
    schedule.activate();
    const ticket = schedule.requestInference(harness.now);
    const rows = Array.from({ length: ROWS }, () => [0, 0]);
    schedule.accept(ticket, chunk(harness.now, rows), harness.now + 6n * TICK);
    return schedule;
  };

  test('a_delay_beyond_the_trained_one_is_reported', () => {
    expect(
      start(5n * TICK)
        .checkDelay()
        ?.toString(),
    ).toBe(
      'RTC_DELAY: Expected a delay of at most 4 steps, which the checkpoint was trained with, received 0.500 s, which is 5; the steps from there may not agree with the plan',
    );
    expect(start(undefined).checkDelay()).toMatchObject({ code: 'RTC_DELAY' });
  });

  test('a_delay_up_to_the_trained_one_is_not_reported', () => {
    expect(start(4n * TICK).checkDelay()).toBeUndefined();
  });
});
