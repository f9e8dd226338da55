import { describe, expect, test } from '@jest/globals';
import { Pi05Error } from '../../../src/errors.js';
import { LatencyEstimate } from '../../../src/schedule/latency.js';
import { actionJoint, MS, SECOND, T0 } from '../pipeline/robot.js';
import { Bench, chunk, config, counting, positions, TICK, velocities } from './bench.js';

describe('sync', () => {
  test('executes_replan_steps_then_holds_until_the_next_chunk_which_starts_at_its_first_step', () => {
    const bench = new Bench(config(positions, { mode: 'sync', replanSteps: 3 }));
    bench.give(counting(T0, 10));
    expect(bench.ticks(3)).toEqual(['step 10', 'step 11', 'step 12']);
    expect(bench.schedule.wantsInference).toBe(true);
    const ticket = bench.schedule.ask(bench.now);
    const observed = bench.now;
    expect(bench.ticks(2)).toEqual(['hold 12', 'hold 12']);
    expect(bench.schedule.accept(ticket, counting(observed, 20), bench.now)).toBe('accepted');
    expect(bench.ticks(3)).toEqual(['step 20', 'step 21', 'step 22']);
  });

  test('velocities_are_zero_while_it_waits', () => {
    const bench = new Bench(config(velocities, { mode: 'sync', replanSteps: 1 }));
    bench.give(counting(T0, 10));
    bench.tick();
    bench.schedule.ask(bench.now);
    expect(bench.ticks(2)).toEqual(['hold 0', 'hold 0']);
  });

  test('waiting_without_an_inference_in_flight_is_starving', () => {
    const bench = new Bench(config(positions, { mode: 'sync', replanSteps: 2 }));
    bench.give(counting(T0, 10));
    expect(bench.ticks(4)).toEqual(['step 10', 'step 11', 'hold 11 COMMAND_STARVED', 'hold 11 COMMAND_STARVED']);
  });
});

describe('async', () => {
  test('wants_the_next_chunk_after_replan_steps_and_executes_the_rest_meanwhile', () => {
    const bench = new Bench(config(positions, { replanSteps: 3 }));
    expect(bench.schedule.wantsInference).toBe(true);
    bench.give(counting(T0, 10));
    const wanted = Array.from({ length: 4 }, () => {
      const before = bench.schedule.wantsInference;
      bench.tick();
      return before;
    });
    expect(wanted).toEqual([false, false, false, true]);
    expect(bench.ticks(2)).toEqual(['step 14', 'step 15']);
  });

  test('wants_one_every_tick_with_replan_steps_1', () => {
    const bench = new Bench(config(positions, { replanSteps: 1 }));
    for (let i = 0; i < 5; i++) {
      expect(bench.schedule.wantsInference).toBe(true);
      bench.give(counting(bench.now, 10 * i));
      expect(bench.schedule.wantsInference).toBe(false);
      expect(bench.ticks(1)).toEqual([`step ${10 * i}`]);
    }
  });

  test('asks_once_at_a_time', () => {
    const bench = new Bench(config(positions));
    const ticket = bench.schedule.ask(bench.now);
    expect(bench.schedule.wantsInference).toBe(false);
    bench.schedule.accept(ticket, counting(bench.now, 10, 0), bench.now);
    expect(bench.schedule.wantsInference).toBe(true);
  });

  test('the_first_chunk_is_executed_from_its_first_step_however_late', () => {
    const bench = new Bench(config(positions));
    const ticket = bench.schedule.ask(T0);
    bench.ticks(5);
    bench.schedule.accept(ticket, counting(T0, 10), bench.now);
    expect(bench.ticks(1)).toEqual(['step 10']);
  });

  test('steps_whose_time_has_passed_are_dropped', () => {
    const bench = new Bench(config(positions, { replanSteps: 2 }));
    bench.give(counting(T0, 10));
    bench.ticks(2);
    const [observed, ticket] = [bench.now, bench.schedule.ask(bench.now)];
    expect(bench.ticks(2)).toEqual(['step 12', 'step 13']);
    bench.schedule.accept(ticket, counting(observed, 20), bench.now);
    expect(bench.ticks(2)).toEqual(['step 22', 'step 23']);
  });

  test('no_more_are_dropped_than_were_executed_since_the_observation', () => {
    const bench = new Bench(config(positions, { replanSteps: 2 }));
    bench.give(counting(T0, 10, 3));
    bench.ticks(2);
    const [observed, ticket] = [bench.now, bench.schedule.ask(bench.now)];
    expect(bench.ticks(4)).toEqual(['step 12', ...Array<string>(3).fill('hold 12 COMMAND_STARVED')]);
    bench.schedule.accept(ticket, counting(observed, 20), bench.now);
    expect(bench.ticks(1)).toEqual(['step 21']);
  });

  test('no_more_are_dropped_than_the_latency_estimate_says', () => {
    const bench = new Bench(config(positions, { replanSteps: 1 }));
    bench.give(counting(bench.now, 0, 30));
    for (let i = 0; i < 40; i++) {
      bench.ticks(1);
      bench.give(counting(bench.now, 0, 30));
    }
    bench.ticks(1);
    const [observed, ticket] = [bench.now, bench.schedule.ask(bench.now)];
    bench.ticks(3);
    bench.schedule.accept(ticket, counting(observed, 50, 30), bench.now);
    expect(bench.ticks(1)).toEqual(['step 50']);
  });

  test('a_step_executed_at_the_very_time_of_the_observation_has_passed_one_before_it_has_not', () => {
    const bench = new Bench(config(positions, { replanSteps: 1 }));
    bench.give(counting(T0, 10));
    bench.ticks(2);
    bench.give(counting(T0 + TICK, 20));
    expect(bench.ticks(1)).toEqual(['step 21']);
  });

  test('a_chunk_whose_every_step_has_passed_leaves_nothing_to_execute', () => {
    const bench = new Bench(config(positions, { replanSteps: 1 }));
    bench.give(counting(T0, 10, 9));
    bench.give(counting(T0, 10, 9));
    const ticket = bench.schedule.ask(bench.now);
    bench.ticks(5);
    bench.schedule.accept(ticket, counting(T0, 20, 3), bench.now);
    expect(bench.ticks(1)).toEqual(['hold 14 COMMAND_STARVED']);
  });
});

describe('epochs', () => {
  test.each<[string, (bench: Bench) => void]>([
    ['a reset', ({ schedule }) => schedule.reset()],
    ['a stop', ({ schedule, now, measured }) => schedule.stop(now, measured)],
    [
      'a deactivation',
      ({ schedule, now, measured }) => {
        schedule.deactivate(now, measured);
        schedule.activate();
      },
    ],
  ])('a chunk asked for before %s is never executed', (_, end) => {
    const bench = new Bench(config(positions));
    const ticket = bench.schedule.ask(T0);
    end(bench);
    expect(bench.schedule.wantsInference).toBe(true);
    expect(bench.schedule.accept(ticket, counting(T0, 10), bench.now)).toBe('outdated');
    expect(bench.ticks(1)[0]).not.toContain('10');
    bench.give(counting(bench.now, 20));
    expect(bench.ticks(1)).toEqual(['step 20']);
  });

  test('a_reset_drops_what_is_left_and_motion_goes_on_from_the_last_command', () => {
    const bench = new Bench(config([actionJoint('a', { maxVelocity: 5 }), actionJoint('b')]));
    bench.give(
      chunk(T0, [
        [0.5, 0],
        [0.5, 0],
      ]),
    );
    bench.ticks(1);
    bench.schedule.reset();
    expect(bench.ticks(2)).toEqual(['hold 0.5', 'hold 0.5']);
    bench.give(chunk(bench.now, [[2, 0]]));
    expect(bench.ticks(1)).toEqual(['step 1']);
  });

  test('an_answer_to_an_outdated_question_leaves_the_current_one_open', () => {
    const bench = new Bench(config(positions));
    const old = bench.schedule.ask(T0);
    bench.schedule.reset();
    const current = bench.schedule.ask(T0);
    bench.schedule.accept(old, counting(T0, 10), T0);
    expect(bench.schedule.wantsInference).toBe(false);
    expect(bench.schedule.accept(current, counting(T0, 20), T0)).toBe('accepted');
  });
});

describe('the engine', () => {
  test('a_chunk_that_is_not_finite_is_refused_with_its_joint_and_step_and_never_executed', () => {
    const bench = new Bench(config(positions));
    bench.give(counting(T0, 10));
    const verdict = bench.give(
      chunk(T0, [
        [1, 1],
        [1, NaN],
      ]),
    );
    expect(verdict).toBeInstanceOf(Pi05Error);
    expect(String(verdict)).toBe('CHUNK_NOT_FINITE: Expected finite actions, received NaN for b in step 1');
    expect(bench.ticks(1)).toEqual(['step 10']);
  });

  test('an_answer_overdue_is_reported_while_it_is_and_dropped_when_it_comes', () => {
    const bench = new Bench(config(positions, { engineTimeout: 250n * MS }));
    const ticket = bench.schedule.ask(T0);
    expect(bench.schedule.watch(T0 + 250n * MS)).toBeUndefined();
    expect(String(bench.schedule.watch(T0 + 300n * MS))).toBe(
      'ENGINE_LATE: Expected a chunk within 0.25 s, received none in 0.300 s; it is dropped when it comes',
    );
    expect(bench.schedule.watch(T0 + 400n * MS)?.message).toContain('received none in 0.400 s');
    expect(bench.schedule.accept(ticket, counting(T0, 10), T0 + 400n * MS)).toBe('outdated');
    expect(bench.schedule.watch(T0 + 400n * MS)).toBeUndefined();
    expect(bench.schedule.wantsInference).toBe(true);
    bench.schedule.ask(T0 + SECOND);
    expect(bench.schedule.watch(T0 + 2n * SECOND)?.code).toBe('ENGINE_LATE');
  });
});

describe('the latency estimate', () => {
  test('leaves_out_the_cold_start_and_is_the_95th_percentile_of_the_rest', () => {
    const latency = new LatencyEstimate();
    expect(latency.p95).toBe(0n);
    latency.add(10_000n);
    expect(latency.p95).toBe(0n);
    for (let i = 1n; i <= 20n; i++) latency.add(21n - i);
    expect(latency.p95).toBe(19n);
  });

  test('forgets_what_was_slow_long_ago', () => {
    const latency = new LatencyEstimate();
    for (let i = 0; i < 10; i++) latency.add(1000n);
    for (let i = 0; i < 64; i++) latency.add(5n);
    expect(latency.p95).toBe(5n);
  });
});
