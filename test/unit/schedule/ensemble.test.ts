import { describe, expect, test } from '@jest/globals';
import type { ScheduleConfig } from '../../../src/config/config.js';
import { ensemble } from '../../../src/schedule/modes/ensemble.js';
import type { MergeInput } from '../../../src/schedule/modes/mode.js';
import { actionJoint, T0 } from '../pipeline/robot.js';
import { chunk, config, counting, Harness, positions, TICK } from './harness.js';

function schedule(changes: Partial<ScheduleConfig> = {}): Partial<ScheduleConfig> {
  return { mode: 'ensemble', replanSteps: 1, ensembleDecay: 0.5, ...changes };
}

/** Chunks of two joints with one value in every row. */
function constant(stamp: bigint, value: number, rows = 6): MergeInput['chunk'] {
  return chunk(
    stamp,
    Array.from({ length: rows }, () => [value, value]),
  );
}

function input(changes: Partial<MergeInput>): MergeInput {
  return {
    chunk: constant(T0, 4),
    executedSteps: 0,
    delaySteps: 100,
    earlier: [],
    now: T0,
    maxAge: 10n * TICK,
    config: config(positions, schedule()),
    ...changes,
  };
}

/** Rows of the first joint. */
function merged(changes: Partial<MergeInput>): number[] {
  const plan = ensemble.merge(input(changes));
  return [...plan.chunk.values].filter((_, i) => i % 2 === 0);
}

describe('ensemble', () => {
  test('a_step_is_the_mean_of_all_chunks_that_predict_it_and_the_oldest_has_the_largest_weight', () => {
    const [w0, w1, w2] = [1, Math.exp(-0.5), Math.exp(-1)];
    const earlier = [
      { chunk: constant(T0 - 4n * TICK, 1), nextRow: 4 },
      { chunk: constant(T0 - 2n * TICK, 2), nextRow: 2 },
    ];
    const values = merged({ earlier });
    const three = (w0 * 1 + w1 * 2 + w2 * 4) / (w0 + w1 + w2);
    const two = (w0 * 2 + w1 * 4) / (w0 + w1);
    [three, three, two, two, 4, 4].forEach((value, row) => expect(values[row]).toBeCloseTo(value, 12));
  });

  test('weights_are_equal_with_decay_0', () => {
    const config0 = config(positions, schedule({ ensembleDecay: 0 }));
    const values = merged({ config: config0, earlier: [{ chunk: constant(T0 - 4n * TICK, 1), nextRow: 4 }] });
    expect(values).toEqual([2.5, 2.5, 4, 4, 4, 4]);
  });

  test('predictions_for_the_same_step_are_averaged_whatever_row_they_are_in', () => {
    const harness = new Harness(config(positions, schedule()));
    harness.executeChunk(counting(harness.now, 0, 30));
    harness.ticks(1);
    for (let step = 1; step < 8; step++) {
      harness.executeChunk(counting(harness.now, step, 30));
      const value = harness.tick().command!.values[0];
      expect(value).toBeCloseTo(step, 9);
    }
  });

  test('predictions_of_late_chunks_are_averaged_for_the_same_step_too', () => {
    const harness = new Harness(config(positions, schedule()));
    harness.executeChunk(counting(harness.now, 0, 30));
    harness.ticks(1);
    for (let step = 1; step < 20; step += 2) {
      const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
      for (const expected of [step, step + 1]) expect(harness.tick().command!.values[0]).toBeCloseTo(expected, 9);
      harness.schedule.accept(ticket, counting(observed, step, 30), harness.now);
    }
  });

  test('steps_whose_time_has_passed_are_dropped_and_the_rest_is_averaged', () => {
    const harness = new Harness(config(positions, schedule({ ensembleDecay: 0 })));
    harness.executeChunk(counting(harness.now, 10));
    harness.ticks(2);
    const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
    expect(harness.ticks(2)).toEqual(['step 12', 'step 13']);
    harness.schedule.accept(ticket, counting(observed, 20), harness.now);
    // Rows 2 and 3 of the new chunk and rows 4 and 5 of the previous one are the same steps.
    expect(harness.ticks(4)).toEqual(['step 18', 'step 19', 'step 24', 'step 25']);
  });

  test('a_prediction_counts_only_up_to_max_chunk_age_at_the_time_of_its_step', () => {
    const earlier = [{ chunk: constant(T0 - 2n * TICK, 1), nextRow: 2 }];
    const values = merged({ earlier, maxAge: 3n * TICK, config: config(positions, schedule({ ensembleDecay: 0 })) });
    expect(values).toEqual([2.5, 2.5, 4, 4, 4, 4]);
  });

  test('a_refused_chunk_does_not_count', () => {
    const harness = new Harness(config(positions, schedule({ ensembleDecay: 0 })));
    harness.executeChunk(constant(T0, 10));
    harness.ticks(1);
    const ticket = harness.schedule.requestInference(harness.now);
    const verdict = harness.schedule.accept(ticket, constant(harness.now, 90), harness.now, (plan) => ({
      ...plan.chunk,
      rows: 0,
    }));
    expect(verdict).toBe('refused');
    harness.executeChunk(constant(harness.now, 20));
    expect(harness.ticks(1)).toEqual(['step 15']);
  });

  test('a_binarised_joint_takes_the_newest_prediction', () => {
    const joints = [actionJoint('a'), actionJoint('b', { binarize: 0.5 })];
    const plan = ensemble.merge(
      input({ config: config(joints, schedule()), earlier: [{ chunk: constant(T0 - TICK, 1), nextRow: 1 }] }),
    );
    expect(plan.chunk.values[0]).toBeLessThan(3);
    expect(plan.chunk.values[1]).toBe(4);
  });

  test('the_review_sees_the_mean', () => {
    const harness = new Harness(config(positions, schedule({ ensembleDecay: 0 })));
    harness.executeChunk(constant(T0, 10));
    harness.ticks(1);
    let reviewed: number | undefined;
    const ticket = harness.schedule.requestInference(harness.now);
    harness.schedule.accept(ticket, constant(harness.now, 20), harness.now, ({ chunk: planned, nextRow }) => {
      reviewed = planned.values[nextRow * 2];
      return planned;
    });
    expect(reviewed).toBe(15);
  });
});
