import { describe, expect, test } from '@jest/globals';
import type { ScheduleConfig } from '../../../src/config/config.js';
import { earliestArrival } from '../../../src/pipeline/injected-delay.js';
import { Harness, TICK, watchRejections } from './harness.js';
import { MS, robot, SECOND, T0 } from './robot.js';

watchRejections();

/** Longer than one tick, so a chunk arrives two ticks after its observation. */
const DELAY = 150n * MS;

function harness(changes: Partial<ScheduleConfig> = {}, clock?: () => bigint): Harness {
  return new Harness(robot({}, { replanSteps: 3, lockstep: true, injectedDelay: DELAY, ...changes }), clock);
}

/** When the engine has computed an inference: in the tick of its observation, in the next one, or when its chunk is due. */
type Computed = 0n | 1n | 2n;

/**
 * Runs ticks in lock-step. The n-th inference gives the actions 10 n, 10 n + 1, …
 * @returns what happened in each tick, with the first value of each command.
 */
async function run(harness: Harness, ticks: bigint, computed: Computed = 0n): Promise<string[]> {
  const log: string[] = [];
  let inferences = 0;
  let answerAt = -1n;
  for (let i = 0n; i < ticks; i++) {
    const now = T0 + i * TICK;
    harness.offer(now);
    harness.pipeline.tick(now, 0n);
    if (harness.engine.busy && answerAt < i) answerAt = i + computed;
    if (harness.engine.busy && answerAt === i) {
      await harness.engine.answer(10 * ++inferences);
      if (harness.engine.busy) answerAt = i + computed;
    }
    log.push(harness.takeLog().join(', '));
  }
  return log;
}

describe('in lock-step, with an injected delay', () => {
  test.each<Computed>([0n, 1n, 2n])(
    'in_async_the_rows_of_the_previous_chunk_run_until_the_next_one_arrives: computed after %s ticks',
    async (computed) => {
      const it = harness({ mode: 'async' });
      expect(await run(it, 12n, computed)).toEqual([
        'hold 0',
        'hold 0',
        'chunk, step 10',
        'step 11',
        'step 12',
        // From its observation at tick 3 on, two rows were executed.
        'chunk, step 22',
        'step 23',
        'step 24',
        'chunk, step 32',
        'step 33',
        'step 34',
        'chunk, step 42',
      ]);
      expect(it.chunks.map(({ stamp }) => Number((stamp - T0) / TICK))).toEqual([0, 3, 6, 9]);
      expect(it.chunks.map(({ latencyMs }) => latencyMs)).toEqual([200, 200, 200, 200]);
    },
  );

  test.each<Computed>([0n, 1n, 2n])(
    'in_sync_the_robot_holds_until_the_next_chunk_arrives: computed after %s ticks',
    async (computed) => {
      expect(await run(harness({ mode: 'sync' }), 8n, computed)).toEqual([
        'hold 0',
        'hold 0',
        'chunk, step 10',
        'step 11',
        'step 12',
        'hold 12',
        'hold 12',
        'chunk, step 20',
      ]);
    },
  );

  test('a_delay_of_whole_ticks_ends_at_its_tick', async () => {
    expect(await run(harness({ injectedDelay: TICK }), 2n)).toEqual(['hold 0', 'chunk, step 10']);
  });

  test('the_tick_at_which_a_chunk_is_due_waits_for_the_engine_and_earlier_ticks_do_not', async () => {
    const it = harness();
    for (const [tick, expected] of [
      [0n, ['hold 0']],
      [1n, ['hold 0']],
      [2n, []],
    ] as const) {
      it.offer(T0 + tick * TICK);
      expect(it.tick(T0 + tick * TICK)).toEqual(expected);
    }
    await it.engine.answer(10);
    expect(it.takeLog()).toEqual(['chunk', 'step 10']);
  });

  test('a_tick_waits_for_its_inputs_although_an_inference_is_in_flight', () => {
    const it = harness();
    it.offer(T0);
    it.tick(T0);
    expect(it.tick(T0 + TICK)).toEqual([]);
    it.offer(T0 + TICK);
    expect(it.takeLog()).toEqual(['hold 0']);
  });

  test('a_failure_arrives_with_the_chunks_delay', async () => {
    const it = harness();
    it.offer(T0);
    it.tick(T0);
    await it.engine.fail('out of order');
    it.offer(T0 + TICK);
    expect(it.tick(T0 + TICK)).toEqual(['hold 0']);
    it.offer(T0 + 2n * TICK);
    expect(it.tick(T0 + 2n * TICK)).toEqual(['stop 0', 'ENGINE_FAILED']);
  });

  test.each<Computed>([0n, 1n, 2n])(
    'the_delay_counts_for_the_engines_timeout: computed after %s ticks',
    async (computed) => {
      const it = harness({ injectedDelay: 140n * MS, engineTimeout: 145n * MS });
      const log = await run(it, 5n, computed);
      expect(log).toEqual(['hold 0', 'hold 0', 'ENGINE_LATE, hold 0', 'hold 0', 'hold 0']);
      expect(it.pipeline.statistics).toMatchObject({ chunks: 0 });
    },
  );

  test('after_a_new_prompt_the_engine_is_busy_until_the_old_chunk_is_due_and_drops_it', async () => {
    const it = harness({ mode: 'async' });
    await run(it, 4n);
    it.pipeline.setPrompt('stack the blocks', T0 + 3n * TICK);
    const log = [];
    for (let tick = 4n; tick < 8n; tick++) {
      it.offer(T0 + tick * TICK);
      it.pipeline.tick(T0 + tick * TICK, 0n);
      if (it.engine.busy) await it.engine.answer(50);
      log.push(it.takeLog().join(', '));
    }
    expect(log).toEqual(['hold 11', 'hold 11', 'hold 11', 'chunk, step 50']);
    expect(it.pipeline.statistics.outdated).toBe(1);
  });

  test.each<[string, bigint, (it: Harness) => void]>([
    ['a_new_activation', T0 + TICK, ({ pipeline }) => (pipeline.deactivate(T0), pipeline.activate(T0))],
    ['a_clock_that_goes_back', T0 - SECOND, () => {}],
  ])('an_inference_from_before_%s_delays_nothing', async (_, start, restart) => {
    const it = harness({ injectedDelay: 900n * MS });
    it.offer(T0);
    it.tick(T0);
    await it.engine.answer(10);
    restart(it);
    it.pipeline.tick(start, 0n);
    it.offer(start);
    expect(it.engine.busy).toBe(true);
    await it.engine.answer(20);
    for (let tick = 1n; tick <= 9n; tick++) {
      it.offer(start + tick * TICK);
      it.pipeline.tick(start + tick * TICK, 0n);
    }
    expect(it.chunks.map(({ stamp, values }) => [stamp, values[0]])).toEqual([[start, 20]]);
  });
});

describe('in real time, with an injected delay', () => {
  test('a_chunk_that_is_computed_early_arrives_at_the_first_tick_after_the_delay', async () => {
    let now = T0;
    const it = harness({ lockstep: false }, () => now);
    const tick = (time: bigint): string[] => it.tick((now = time));
    it.offer(T0 + 10n * MS, (now = T0 + 30n * MS));
    await it.engine.answer(10);
    expect(tick(T0 + TICK)).toEqual([]);
    // The delay counts from the stamp, but messages do not bring the chunk.
    it.offer(T0 + 162n * MS, (now = T0 + 162n * MS));
    expect(it.takeLog()).toEqual([]);
    expect(tick(T0 + 165n * MS)).toEqual(['chunk', 'step 10']);
  });

  test('a_chunk_that_is_computed_late_arrives_at_once', async () => {
    let now = T0;
    const it = harness({ lockstep: false }, () => now);
    it.offer(T0);
    now = T0 + DELAY + 7n * MS;
    await it.engine.answer(10);
    expect(it.takeLog()).toEqual(['chunk']);
    expect(it.chunks[0]?.latencyMs).toBe(157);
  });
});

describe('the jitter of an injected delay', () => {
  const arrivals = (injectedDelay: bigint, injectedJitter: bigint): bigint[] => {
    const { schedule } = robot({}, { injectedDelay, injectedJitter });
    return Array.from({ length: 1000 }, (_, i) => {
      const stamp = T0 + BigInt(i) * 66_666_667n;
      return earliestArrival(stamp, schedule) - stamp;
    });
  };

  test('lengthens_it_by_up_to_the_jitter_evenly_and_depends_on_the_stamp_alone', () => {
    const delays = arrivals(100n * MS, 300n * MS);
    expect(delays.every((delay) => delay >= 100n * MS && delay < 400n * MS)).toBe(true);
    const quarters = [0, 1, 2, 3].map((part) => delays.filter((d) => Number(d - 100n * MS) / 75e6 >= part).length);
    expect(quarters[1]! / 1000).toBeCloseTo(0.75, 1);
    expect(quarters[3]! / 1000).toBeCloseTo(0.25, 1);
    expect(arrivals(100n * MS, 300n * MS)).toEqual(delays);
  });

  test('is_none_where_it_is_0', () => {
    expect(new Set(arrivals(100n * MS, 0n))).toEqual(new Set([100n * MS]));
    expect(earliestArrival(T0, robot().schedule)).toBe(0n);
  });

  test('is_that_of_the_simulation_without_the_node', () => {
    // As sim/seams/conditions.py computes it, which test/sim/test_sim_seams.py compares with the same numbers.
    expect(arrivals(0n, 300n * MS).slice(0, 3)).toEqual([284920885n, 235009477n, 80871311n]);
  });
});
