import { describe, expect, test } from '@jest/globals';
import { Pi05Error } from '../../../src/errors.js';
import { Bench, turns, watchRejections } from './bench.js';
import { actionJoint, MS, robot, T0 } from './robot.js';

watchRejections();

describe('faults', () => {
  test('an_engine_failure_stops_the_robot_once_and_the_engine_is_tried_again_a_second_later', async () => {
    const bench = new Bench(robot({}, { replanSteps: 1 }));
    bench.offer(T0);
    await bench.engine.answer(10);
    bench.tick(T0 + 10n * MS);
    bench.offer(T0 + 20n * MS);
    bench.said();
    await bench.engine.fail('device lost');
    expect(bench.said()).toEqual(['stop 0', 'ENGINE_FAILED']);
    expect(bench.faults[0]?.message).toBe('Expected a chunk from the engine, received an error (device lost)');
    for (let t = 100n; t < 1000n; t += 100n) {
      bench.offer(T0 + t * MS);
      expect(bench.tick(T0 + t * MS)).toEqual([]);
    }
    expect(bench.engine.busy).toBe(false);
    bench.offer(T0 + 1020n * MS);
    expect(bench.engine.busy).toBe(true);
    await bench.engine.fail('device lost');
    expect(bench.said()).toEqual(['ENGINE_FAILED']);
    bench.offer(T0 + 2100n * MS);
    await bench.engine.answer(30);
    expect(bench.tick(T0 + 2110n * MS)).toEqual(['chunk', 'step 30']);
    bench.pipeline.deactivate(T0 + 2120n * MS);
    expect(bench.said()).toEqual(['stop 0']);
  });

  test('a_lost_gpu_stops_the_robot_under_its_own_code', async () => {
    const bench = new Bench();
    bench.offer(T0);
    await bench.engine.answer(10);
    bench.tick(T0 + 100n * MS);
    for (let t = 200n; !bench.engine.busy; t += 100n) {
      bench.offer(T0 + t * MS);
      bench.tick(T0 + t * MS);
    }
    bench.said();
    await bench.engine.fail(new Pi05Error('DEVICE_LOST', 'Expected the GPU to do an inference, received none'));
    expect(bench.said()).toEqual(['stop 0', 'DEVICE_LOST']);
  });

  test('an_engine_that_throws_at_once_is_a_failure_too', async () => {
    const bench = new Bench();
    bench.engine.infer = () => {
      throw new Error('closed');
    };
    bench.offer(T0);
    await turns();
    expect(bench.said()).toContain('ENGINE_FAILED');
  });

  test.each(['prepare', 'finish'] as const)('a_policy_that_throws_in_%s_is_a_failure_too', async (method) => {
    const bench = new Bench();
    bench.policy[method] = () => {
      throw new TypeError('a mistake');
    };
    bench.offer(T0);
    if (method === 'finish') await bench.engine.answer(1);
    expect(bench.said()).toContain('ENGINE_FAILED');
    expect(bench.faults[0]?.message).toContain('a mistake');
  });

  test('an_engine_that_fails_after_deactivation_moves_nothing', async () => {
    const bench = new Bench();
    bench.offer(T0);
    bench.pipeline.deactivate(T0);
    bench.said();
    await bench.engine.fail('device lost');
    expect(bench.said()).toEqual(['ENGINE_FAILED']);
  });

  test('a_chunk_that_is_not_finite_is_a_fault_and_is_neither_published_nor_executed', async () => {
    const bench = new Bench();
    bench.offer(T0);
    await bench.engine.answer(NaN);
    expect(bench.tick(T0 + 10n * MS)).toEqual(['CHUNK_NOT_FINITE', 'hold 0']);
  });

  test('an_engine_without_an_answer_is_late_by_the_next_tick_and_its_answer_is_dropped', async () => {
    const bench = new Bench(robot({}, { engineTimeout: 150n * MS }));
    bench.offer(T0);
    bench.offer(T0 + 100n * MS);
    expect(bench.tick(T0 + 100n * MS)).toEqual(['hold 0']);
    bench.offer(T0 + 200n * MS);
    expect(bench.tick(T0 + 200n * MS)).toEqual(['hold 0', 'ENGINE_LATE']);
    await bench.engine.answer(10);
    expect(bench.said()).toEqual([]);
    await bench.engine.answer(20);
    expect(bench.chunks.map(({ stamp }) => stamp)).toEqual([T0 + 200n * MS]);
  });

  test('what_lasts_is_said_once_a_second_until_it_has_ended', async () => {
    const bench = new Bench(robot({}, { engineTimeout: 650n * MS }));
    bench.offer(T0);
    await bench.engine.answer(10);
    const times = new Map<string, bigint[]>();
    const until = (end: bigint): void => {
      for (; now <= end; now += 100n * MS) {
        bench.offer(now);
        for (const code of bench.tick(now))
          if (/^[A-Z]/.test(code)) times.set(code, [...(times.get(code) ?? []), (now - T0) / MS]);
      }
    };
    let now = T0 + 100n * MS;
    until(T0 + 2600n * MS);
    expect(Object.fromEntries(times)).toEqual({
      COMMAND_STARVED: [700n, 1700n],
      ENGINE_LATE: [1000n, 2000n],
    });
    await bench.engine.answer(20);
    await bench.engine.answer(20);
    times.clear();
    until(T0 + 2800n * MS);
    expect(times.size).toBe(0);
    until(T0 + 3600n * MS);
    expect(times.get('COMMAND_STARVED')).toHaveLength(1);
  });

  test('a_late_tick_is_reported_and_still_gives_its_command', async () => {
    const bench = new Bench();
    bench.offer(T0);
    expect(bench.tick(T0, 20n * MS)).toEqual(['hold 0']);
    expect(bench.tick(T0 + 10n * MS, 21n * MS)).toEqual(['TICK_LATE', 'hold 0']);
    expect(bench.tick(T0 + 20n * MS, 30n * MS)).toEqual(['hold 0']);
    expect(bench.faults.map(String)).toEqual([
      'TICK_LATE: Expected a control tick at most 20.0 ms late, received one 21.0 ms late',
    ]);
    await bench.engine.answer(0);
  });

  test('a_first_jump_is_held_and_the_next_chunk_is_asked_for', async () => {
    const limited = {
      action: { joints: ['a', 'b'].map((name) => actionJoint(name, { maxVelocity: 1 })), bound: 'none' as const },
    };
    const bench = new Bench(robot(limited));
    bench.offer(T0);
    await bench.engine.answer(10);
    expect(bench.tick(T0 + 10n * MS)).toEqual(['chunk', 'hold 0', 'COMMAND_JUMP']);
    bench.offer(T0 + 20n * MS);
    await bench.engine.answer(0);
    expect(bench.tick(T0 + 30n * MS)).toEqual(['chunk', 'step 0']);
  });

  test('a_sink_that_throws_on_a_chunk_stops_the_robot', async () => {
    const bench = new Bench();
    bench.sink.chunk = () => {
      throw new Error('no publisher');
    };
    bench.offer(T0);
    await bench.engine.answer(10);
    expect(bench.said()).toEqual(['stop 0', 'ENGINE_FAILED']);
  });
});
