import { describe, expect, test } from '@jest/globals';
import { Pi05Error } from '../../../src/errors.js';
import { LatencyEstimate } from '../../../src/schedule/latency-estimate.js';
import { actionJoint, MS, SECOND, T0 } from '../pipeline/robot.js';
import { Harness, chunk, config, counting, positions, TICK, velocities } from './harness.js';

describe('sync', () => {
  test('executes_replan_steps_then_holds_until_the_next_chunk_which_starts_at_its_first_step', () => {
    const harness = new Harness(config(positions, { mode: 'sync', replanSteps: 3 }));
    harness.executeChunk(counting(T0, 10));
    expect(harness.ticks(3)).toEqual(['step 10', 'step 11', 'step 12']);
    expect(harness.schedule.wantsInference).toBe(true);
    const ticket = harness.schedule.requestInference(harness.now);
    const observed = harness.now;
    expect(harness.ticks(2)).toEqual(['hold 12', 'hold 12']);
    expect(harness.schedule.accept(ticket, counting(observed, 20), harness.now)).toBe('accepted');
    expect(harness.ticks(3)).toEqual(['step 20', 'step 21', 'step 22']);
  });

  test('velocities_are_zero_while_it_waits', () => {
    const harness = new Harness(config(velocities, { mode: 'sync', replanSteps: 1 }));
    harness.executeChunk(counting(T0, 10));
    harness.tick();
    harness.schedule.requestInference(harness.now);
    expect(harness.ticks(2)).toEqual(['hold 0', 'hold 0']);
  });

  test('waiting_without_an_inference_in_flight_is_an_underrun', () => {
    const harness = new Harness(config(positions, { mode: 'sync', replanSteps: 2 }));
    harness.executeChunk(counting(T0, 10));
    expect(harness.ticks(4)).toEqual(['step 10', 'step 11', 'hold 11 COMMAND_STARVED', 'hold 11 COMMAND_STARVED']);
  });
});

describe('async', () => {
  test('wants_the_next_chunk_after_replan_steps_and_executes_the_rest_meanwhile', () => {
    const harness = new Harness(config(positions, { replanSteps: 3 }));
    expect(harness.schedule.wantsInference).toBe(true);
    harness.executeChunk(counting(T0, 10));
    const wanted = Array.from({ length: 4 }, () => {
      const before = harness.schedule.wantsInference;
      harness.tick();
      return before;
    });
    expect(wanted).toEqual([false, false, false, true]);
    expect(harness.ticks(2)).toEqual(['step 14', 'step 15']);
  });

  test('wants_a_chunk_every_tick_with_replan_steps_1', () => {
    const harness = new Harness(config(positions, { replanSteps: 1 }));
    for (let i = 0; i < 5; i++) {
      expect(harness.schedule.wantsInference).toBe(true);
      harness.executeChunk(counting(harness.now, 10 * i));
      expect(harness.schedule.wantsInference).toBe(false);
      expect(harness.ticks(1)).toEqual([`step ${10 * i}`]);
    }
  });

  test('wants_no_inference_while_one_is_in_flight', () => {
    const harness = new Harness(config(positions));
    const ticket = harness.schedule.requestInference(harness.now);
    expect(harness.schedule.wantsInference).toBe(false);
    harness.schedule.accept(ticket, counting(harness.now, 10, 0), harness.now);
    expect(harness.schedule.wantsInference).toBe(true);
  });

  test('the_first_chunk_is_executed_from_its_first_step_however_late', () => {
    const harness = new Harness(config(positions));
    const ticket = harness.schedule.requestInference(T0);
    harness.ticks(5);
    harness.schedule.accept(ticket, counting(T0, 10), harness.now);
    expect(harness.ticks(1)).toEqual(['step 10']);
  });

  test('steps_whose_time_has_passed_are_dropped', () => {
    const harness = new Harness(config(positions, { replanSteps: 2 }));
    harness.executeChunk(counting(T0, 10));
    harness.ticks(2);
    const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
    expect(harness.ticks(2)).toEqual(['step 12', 'step 13']);
    harness.schedule.accept(ticket, counting(observed, 20), harness.now);
    expect(harness.ticks(2)).toEqual(['step 22', 'step 23']);
  });

  test('no_more_steps_are_dropped_than_were_executed_since_the_observation', () => {
    const harness = new Harness(config(positions, { replanSteps: 2 }));
    harness.executeChunk(counting(T0, 10, 3));
    harness.ticks(2);
    const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
    expect(harness.ticks(4)).toEqual(['step 12', ...Array<string>(3).fill('hold 12 COMMAND_STARVED')]);
    harness.schedule.accept(ticket, counting(observed, 20), harness.now);
    expect(harness.ticks(1)).toEqual(['step 21']);
  });

  test('no_more_steps_are_dropped_than_the_latency_estimate_gives', () => {
    const harness = new Harness(config(positions, { replanSteps: 1 }));
    harness.executeChunk(counting(harness.now, 0, 30));
    for (let i = 0; i < 40; i++) {
      harness.ticks(1);
      harness.executeChunk(counting(harness.now, 0, 30));
    }
    harness.ticks(1);
    const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
    harness.ticks(3);
    harness.schedule.accept(ticket, counting(observed, 50, 30), harness.now);
    expect(harness.ticks(1)).toEqual(['step 50']);
  });

  test('latencies_before_an_activation_do_not_count', () => {
    const harness = new Harness(config(positions, { replanSteps: 1 }));
    for (let i = 0; i < 40; i++) harness.executeChunk(counting(harness.now, 0, 30));
    harness.schedule.activate();
    harness.executeChunk(counting(harness.now, 0, 30));
    harness.ticks(1);
    const [observed, ticket] = [harness.now, harness.schedule.requestInference(harness.now)];
    harness.ticks(3);
    harness.schedule.accept(ticket, counting(observed, 50, 30), harness.now);
    expect(harness.ticks(1)).toEqual(['step 53']);
  });

  test('a_step_executed_at_the_time_of_the_observation_counts_as_passed_and_an_earlier_one_does_not', () => {
    const harness = new Harness(config(positions, { replanSteps: 1 }));
    harness.executeChunk(counting(T0, 10));
    harness.ticks(2);
    harness.executeChunk(counting(T0 + TICK, 20));
    expect(harness.ticks(1)).toEqual(['step 21']);
  });

  test('a_chunk_whose_steps_have_all_passed_is_not_executed', () => {
    const harness = new Harness(config(positions, { replanSteps: 1 }));
    harness.executeChunk(counting(T0, 10, 9));
    harness.executeChunk(counting(T0, 10, 9));
    const ticket = harness.schedule.requestInference(harness.now);
    harness.ticks(5);
    harness.schedule.accept(ticket, counting(T0, 20, 3), harness.now);
    expect(harness.ticks(1)).toEqual(['hold 14 COMMAND_STARVED']);
  });
});

describe('outdated chunks', () => {
  test.each<[string, (harness: Harness) => void]>([
    ['a reset', ({ schedule }) => schedule.reset()],
    ['a stop', (harness) => harness.stop()],
    [
      'a deactivation',
      (harness) => {
        harness.deactivate();
        harness.schedule.activate();
      },
    ],
  ])('a chunk requested before %s is never executed', (_, end) => {
    const harness = new Harness(config(positions));
    const ticket = harness.schedule.requestInference(T0);
    end(harness);
    expect(harness.schedule.wantsInference).toBe(true);
    expect(harness.schedule.accept(ticket, counting(T0, 10), harness.now)).toBe('outdated');
    expect(harness.ticks(1)[0]).not.toContain('10');
    harness.executeChunk(counting(harness.now, 20));
    expect(harness.ticks(1)).toEqual(['step 20']);
  });

  test('a_reset_drops_the_remaining_steps_and_motion_continues_from_the_last_command', () => {
    const harness = new Harness(config([actionJoint('a', { maxVelocity: 5 }), actionJoint('b')]));
    harness.executeChunk(
      chunk(T0, [
        [0.5, 0],
        [0.5, 0],
      ]),
    );
    harness.ticks(1);
    harness.schedule.reset();
    expect(harness.ticks(2)).toEqual(['hold 0.5', 'hold 0.5']);
    harness.executeChunk(chunk(harness.now, [[2, 0]]));
    expect(harness.ticks(1)).toEqual(['step 1']);
  });

  test('a_chunk_of_an_outdated_request_does_not_complete_the_current_one', () => {
    const harness = new Harness(config(positions));
    const old = harness.schedule.requestInference(T0);
    harness.schedule.reset();
    const current = harness.schedule.requestInference(T0);
    harness.schedule.accept(old, counting(T0, 10), T0);
    expect(harness.schedule.wantsInference).toBe(false);
    expect(harness.schedule.accept(current, counting(T0, 20), T0)).toBe('accepted');
  });
});

describe('the engine', () => {
  test('a_chunk_that_is_not_finite_is_refused_with_its_joint_and_step_and_never_executed', () => {
    const harness = new Harness(config(positions));
    harness.executeChunk(counting(T0, 10));
    const verdict = harness.executeChunk(
      chunk(T0, [
        [1, 1],
        [1, NaN],
      ]),
    );
    expect(verdict).toBeInstanceOf(Pi05Error);
    expect(String(verdict)).toBe('CHUNK_NOT_FINITE: Expected finite actions, received NaN for b in step 1');
    expect(harness.ticks(1)).toEqual(['step 10']);
  });

  test('an_inference_beyond_the_timeout_is_reported_until_it_ends_and_its_chunk_is_dropped', () => {
    const harness = new Harness(config(positions, { engineTimeout: 250n * MS }));
    const ticket = harness.schedule.requestInference(T0);
    expect(harness.schedule.checkEngine(T0 + 250n * MS)).toBeUndefined();
    expect(String(harness.schedule.checkEngine(T0 + 300n * MS))).toBe(
      'ENGINE_LATE: Expected a chunk within 0.25 s, received none in 0.300 s; it is dropped when it arrives',
    );
    expect(harness.schedule.checkEngine(T0 + 400n * MS)?.message).toContain('received none in 0.400 s');
    expect(harness.schedule.accept(ticket, counting(T0, 10), T0 + 400n * MS)).toBe('outdated');
    expect(harness.schedule.checkEngine(T0 + 400n * MS)).toBeUndefined();
    expect(harness.schedule.wantsInference).toBe(true);
    harness.schedule.requestInference(T0 + SECOND);
    expect(harness.schedule.checkEngine(T0 + 2n * SECOND)?.code).toBe('ENGINE_LATE');
  });
});

describe('the latency estimate', () => {
  test('excludes_the_cold_start_and_is_the_95th_percentile_of_the_rest', () => {
    const latency = new LatencyEstimate();
    expect(latency.p95).toBe(0n);
    latency.add(10_000n);
    expect(latency.p95).toBe(0n);
    for (let i = 1n; i <= 20n; i++) latency.add(21n - i);
    expect(latency.p95).toBe(19n);
  });

  test('starts_again_at_an_activation_so_that_it_does_not_depend_on_what_was_executed_before', () => {
    const latency = new LatencyEstimate();
    for (const value of [10_000n, 5n, 6n]) latency.add(value);
    latency.forget();
    expect([latency.p95, latency.expected]).toEqual([0n, 0n]);
    latency.add(20_000n);
    expect([latency.p95, latency.expected]).toEqual([0n, 20_000n]);
    latency.add(7n);
    expect(latency.p95).toBe(7n);
  });

  test('forgets_latencies_of_long_ago', () => {
    const latency = new LatencyEstimate();
    for (let i = 0; i < 10; i++) latency.add(1000n);
    for (let i = 0; i < 64; i++) latency.add(5n);
    expect(latency.p95).toBe(5n);
  });
});
