import { describe, expect, test } from '@jest/globals';
import type { ScheduleConfig } from '../../../src/config/config.js';
import { rtcTrained } from '../../../src/schedule/modes/rtc-trained.js';
import { SECOND } from '../pipeline/robot.js';
import { config, counting, Harness, positions } from './harness.js';

/** After the cold inference, one that takes `steps` ticks; then as many ticks as bring the next request. */
function start(schedule: Partial<ScheduleConfig>, steps: number): Harness {
  const harness = new Harness(config(positions, { replanSteps: 4, ...schedule }));
  harness.executeChunk(counting(harness.now, 0, 12));
  harness.ticks(4);
  const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
  harness.ticks(steps);
  harness.schedule.accept(ticket, counting(observed, 4, 12), harness.now);
  harness.ticks(4 - steps);
  return harness;
}

describe('rtc', () => {
  test('a_chunk_is_guided_by_the_steps_that_are_left_at_its_observation', () => {
    const harness = start({ mode: 'rtc' }, 2);
    const continuation = harness.schedule.continuation(harness.now)!;
    // Step 8 is next: row 4 of the chunk that began with step 4.
    expect(continuation.chunk.values[continuation.firstRow * 2]).toBe(8);
    expect(continuation).toMatchObject({
      firstRow: 4,
      conditioning: { mode: 'guided', delay: 2, executionHorizon: 8, schedule: 'exp', maxWeight: 10 },
    });
  });

  test('steps_executed_since_the_observation_are_part_of_the_guidance', () => {
    const harness = start({ mode: 'rtc' }, 2);
    const observed = harness.now;
    harness.ticks(3);
    expect(harness.schedule.continuation(observed)).toMatchObject({ firstRow: 4, conditioning: { delay: 3 } });
  });

  test('the_time_of_the_first_inference_is_the_delay_as_long_as_there_is_no_other', () => {
    const harness = new Harness(config(positions, { mode: 'rtc', replanSteps: 4 }));
    const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
    harness.ticks(3);
    harness.schedule.accept(ticket, counting(observed, 0, 12), harness.now);
    harness.ticks(4);
    expect(harness.schedule.continuation(harness.now)).toMatchObject({ firstRow: 4, conditioning: { delay: 3 } });
  });

  test('the_parameters_are_passed_on', () => {
    const rtc = { schedule: 'linear', horizon: 5, maxWeight: 3 } as const;
    const { conditioning } = start({ mode: 'rtc', rtc }, 2).schedule.continuation(start({ mode: 'rtc', rtc }, 2).now)!;
    expect(conditioning).toMatchObject({ schedule: 'linear', executionHorizon: 5, maxWeight: 3 });
  });

  test('the_delay_is_at_most_the_number_of_steps_that_are_left', () => {
    const harness = new Harness(config(positions, { mode: 'rtc', replanSteps: 4, maxChunkAge: 2n * SECOND }));
    const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
    harness.ticks(9);
    harness.schedule.accept(ticket, counting(observed, 0, 6), harness.now);
    harness.ticks(4);
    expect(harness.schedule.continuation(harness.now)).toMatchObject({ firstRow: 4, conditioning: { delay: 2 } });
  });

  test('the_first_chunk_and_one_after_a_reset_or_while_the_robot_holds_are_not_guided', () => {
    const harness = start({ mode: 'rtc' }, 2);
    expect(new Harness(config(positions, { mode: 'rtc' })).schedule.continuation(harness.now)).toBeUndefined();
    expect(harness.schedule.continuation(harness.now)).toBeDefined();
    harness.ticks(9);
    expect(harness.schedule.continuation(harness.now)).toBeUndefined();
    const again = start({ mode: 'rtc' }, 2);
    again.schedule.reset();
    expect(again.schedule.continuation(again.now)).toBeUndefined();
  });
});

describe('rtc_trained', () => {
  test('the_steps_executed_during_the_inference_are_known_up_to_the_trained_delay', () => {
    // The schedule of the harness has no trained delay; the mode is asked directly.
    const overlap = { rows: 8, trainedMaxDelay: 3 };
    const { schedule } = config(positions, { mode: 'rtc_trained' });
    expect([0, 2, 3, 5].map((delay) => rtcTrained.condition!({ ...overlap, delay }, schedule))).toEqual([
      undefined,
      { mode: 'trained', delay: 2 },
      { mode: 'trained', delay: 3 },
      { mode: 'trained', delay: 3 },
    ]);
  });
});

test.each(['sync', 'async', 'ensemble'] as const)('in_%s_a_chunk_is_computed_without_regard_to_the_plan', (mode) => {
  const harness = start({ mode }, 2);
  expect(harness.schedule.continuation(harness.now)).toBeUndefined();
});
