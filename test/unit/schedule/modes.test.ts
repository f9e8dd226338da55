import { describe, expect, test } from '@jest/globals';
import type { ScheduleConfig } from '../../../src/config/config.js';
import { MODES } from '../../../src/schedule/modes/modes.js';
import type { InferenceTicket } from '../../../src/schedule/schedule.js';
import { T0 } from '../pipeline/robot.js';
import { config, counting, Harness, positions, TICK } from './harness.js';

const names = Object.keys(MODES) as ScheduleConfig['mode'][];
const whileExecuting = names.filter((name) => MODES[name].executesDuringInference);

/** Requests an inference, executes `ticks` ticks and accepts its chunk. @returns the row of it that is executed next. */
function rowAfter(harness: Harness, ticks: number): number | undefined {
  const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
  harness.ticks(ticks);
  let row: number | undefined;
  harness.schedule.accept(ticket, counting(observed, 0, 30), harness.now, (plan) => {
    row = plan.nextRow;
    return plan.chunk;
  });
  return row;
}

describe.each(names)('%s', (mode) => {
  const start = (schedule: Partial<ScheduleConfig> = {}): Harness =>
    new Harness(config(positions, { mode, replanSteps: 1, ...schedule }));

  test('the_first_chunk_is_executed_from_its_first_step_however_late', () => {
    expect(rowAfter(start(), 5)).toBe(0);
  });

  test('a_chunk_requested_before_a_reset_a_stop_or_a_deactivation_is_never_merged', () => {
    const harness = start();
    harness.executeChunk(counting(T0, 0));
    harness.tick();
    const interruptions = [
      (): void => harness.schedule.reset(),
      (): void => void harness.stop(),
      (): void => {
        harness.deactivate();
        harness.schedule.activate();
      },
    ];
    for (const interrupt of interruptions) {
      const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
      interrupt();
      expect(harness.schedule.accept(ticket, counting(observed, 5), harness.now)).toBe('outdated');
    }
  });

  test('nothing_from_before_a_reset_is_merged_with_what_comes', () => {
    const harness = start();
    harness.executeChunk(counting(T0, 0, 30));
    harness.tick();
    harness.schedule.reset();
    harness.executeChunk(counting(harness.now, 50, 30));
    expect(harness.ticks(1)).toEqual(['step 50']);
  });

  test('an_inference_is_wanted_after_replan_steps_also_when_every_chunk_is_the_same', () => {
    const harness = start({ replanSteps: 2 });
    for (let i = 0; i < 4; i++) {
      expect(harness.schedule.wantsInference).toBe(true);
      harness.executeChunk({ ...counting(harness.now, 0, 30), values: new Float64Array(60) });
      expect(harness.schedule.wantsInference).toBe(false);
      harness.ticks(2);
    }
  });

  test('the_second_chunk_is_requested_so_that_it_comes_before_a_late_first_one_is_too_old', () => {
    const harness = start({ replanSteps: 8, maxChunkAge: 15n * TICK });
    let requested: { readonly ticket: InferenceTicket; readonly stamp: bigint } | undefined;
    const log: string[] = [];
    for (let tick = 0; tick < 39; tick++) {
      if (requested !== undefined && harness.now >= requested.stamp + 5n * TICK) {
        harness.schedule.accept(requested.ticket, counting(requested.stamp, 0, 15), harness.now);
        requested = undefined;
      }
      if (harness.schedule.wantsInference) {
        requested = { ticket: harness.schedule.requestInference(harness.now), stamp: harness.now };
      }
      log.push(...harness.ticks(1));
    }
    const held = log
      .slice(log.findIndex((entry) => entry.startsWith('step')))
      .filter((entry) => entry.startsWith('hold'));
    // Mode sync holds during an inference, and executes 8 steps all the same.
    expect(held).toHaveLength(mode === 'sync' ? 10 : 0);
  });

  test('while_the_engine_is_late_the_plan_runs_to_max_chunk_age_and_never_longer', () => {
    const harness = start({ replanSteps: 2, maxChunkAge: 450_000_000n, engineTimeout: 300_000_000n });
    harness.executeChunk({ ...counting(T0, 0, 30), values: new Float64Array(60) });
    harness.ticks(2);
    harness.schedule.requestInference(harness.now);
    const log = harness.ticks(4);
    const executed = MODES[mode].executesDuringInference ? 3 : 0;
    expect(log.slice(0, executed)).toEqual(Array.from({ length: executed }, () => 'step 0'));
    expect(log.slice(executed).every((line) => /^(hold|stop)/.test(line))).toBe(true);
    expect(harness.schedule.checkEngine(harness.now)).toMatchObject({ code: 'ENGINE_LATE' });
  });

  test('no_step_is_executed_beyond_max_chunk_age', () => {
    const harness = start({ replanSteps: 30, maxChunkAge: 250_000_000n });
    harness.executeChunk({ ...counting(T0, 0, 30), values: new Float64Array(60) });
    expect(harness.ticks(4)).toEqual(['step 0', 'step 0', 'step 0', expect.stringMatching(/^hold 0 CHUNK_STALE$/)]);
  });
});

describe.each(whileExecuting)('%s', (mode) => {
  test('as_many_steps_are_dropped_as_were_executed_since_the_observation', () => {
    const harness = new Harness(config(positions, { mode, replanSteps: 1 }));
    harness.executeChunk(counting(T0, 0, 30));
    harness.tick();
    expect(rowAfter(harness, 3)).toBe(3);
  });
});

describe.each(['async', 'ensemble'] as const)('%s', (mode) => {
  test('no_more_steps_are_dropped_than_the_latency_estimate_gives', () => {
    const harness = new Harness(config(positions, { mode, replanSteps: 1 }));
    for (let i = 0; i < 40; i++) {
      harness.executeChunk(counting(harness.now, 0, 30));
      harness.tick();
    }
    expect(rowAfter(harness, 3)).toBe(0);
  });

  test('no_more_steps_are_dropped_than_a_fixed_delay_covers', () => {
    const harness = new Harness(config(positions, { mode, replanSteps: 1, delay: 2n * TICK }));
    harness.executeChunk(counting(T0, 0, 30));
    harness.tick();
    expect(rowAfter(harness, 3)).toBe(2);
  });
});

describe.each(['rtc', 'rtc_trained'] as const)('%s', (mode) => {
  test('exactly_the_executed_steps_are_dropped_when_a_chunk_is_later_than_the_estimate', () => {
    const harness = new Harness(config(positions, { mode, replanSteps: 1 }));
    for (let i = 0; i < 40; i++) {
      harness.executeChunk(counting(harness.now, 0, 30));
      harness.tick();
    }
    expect(rowAfter(harness, 3)).toBe(3);
  });
});
