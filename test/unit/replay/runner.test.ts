import { describe, expect, test } from '@jest/globals';
import type { Bag } from '../../../src/replay/bag/bag.js';
import { replayInputs } from '../../../src/replay/inputs.js';
import { replay, type ReplayOutcome } from '../../../src/replay/runner.js';
import { MS, SECOND, T0 } from '../pipeline/robot.js';
import {
  PERIOD,
  clockMessage,
  type Entry,
  bagOf,
  recording,
  config,
  PlainPolicy,
  ShadeEngine,
  run,
} from './harness.js';

describe('replay', () => {
  test('ticks_at_control_rate_from_the_first_message_on_and_chunks_arrive_without_delay', async () => {
    const { chunks, commands, outcome } = await run(recording(50), new ShadeEngine(() => 0));
    const first = T0 + 1n * MS;
    expect(commands.map(({ time }) => time)).toEqual(
      Array.from({ length: 9 }, (_, i) => first + BigInt(i + 1) * PERIOD),
    );
    expect(commands.every(({ reason }) => reason === 'step')).toBe(true);
    expect(chunks.map(({ stamp, arrivedAt }) => arrivedAt - stamp)).toEqual(
      chunks.map((_, i) => (i === 0 ? 3n * MS : 1n * MS)),
    );
    expect(outcome).toMatchObject({ failure: undefined, statistics: { refusals: {}, faults: {} } });
    expect(outcome.inferenceMs).toEqual({ p50: 7, p95: 7, p99: 7 });
  });

  test.each([0n, 30n * MS, 130n * MS])(
    'does_not_depend_on_how_long_the_engine_takes: latency %s ns',
    async (latency) => {
      const runs = [];
      for (const cycles of [() => 0, () => 50, (request: number) => (request * 7) % 23]) {
        runs.push(await run(recording(100), new ShadeEngine(cycles), { latency }));
      }
      const [first, ...others] = runs.map(({ chunks, commands }) => ({ chunks, commands }));
      expect(first!.chunks.length).toBeGreaterThan(4);
      for (const other of others) expect(other).toEqual(first);
    },
  );

  test('a_chunk_arrives_its_latency_after_the_request_also_between_messages', async () => {
    const { chunks } = await run(recording(100), new ShadeEngine(() => 3), { latency: 33n * MS + 7n });
    expect(chunks[0]).toEqual({ stamp: T0, arrivedAt: T0 + 36n * MS + 7n, value: 0 });
    expect(new Set(chunks.slice(1).map(({ arrivedAt, stamp }) => arrivedAt - stamp))).toEqual(new Set([34n * MS + 7n]));
  });

  test('every_chunk_is_computed_from_the_images_of_its_stamp_although_buffers_are_reused', async () => {
    const { chunks } = await run(recording(400), new ShadeEngine(() => 20), { latency: 70n * MS });
    expect(chunks.length).toBeGreaterThan(15);
    for (const { stamp, value } of chunks) {
      expect(value).toBeCloseTo((Number((stamp - T0) / (20n * MS)) % 256) / 1000, 6);
    }
  });

  test('a_failed_engine_ends_it_with_the_stop_action', async () => {
    const engine = new ShadeEngine(
      () => 1,
      (request) => request === 2,
    );
    const { outcome, chunks, commands } = await run(recording(100), engine);
    expect(outcome.failure).toMatchObject({ code: 'ENGINE_FAILED' });
    expect(outcome.failure?.message).toContain('out of order');
    expect(chunks).toHaveLength(2);
    expect(engine.requests).toBe(3);
    expect(commands.at(-1)?.reason).toBe('stop');
  });

  test('a_recorder_that_was_paused_for_years_does_not_tick_through_them', async () => {
    const years = 50n * 365n * 86_400n * SECOND;
    const entries = [...recording(20), ...recording(20, T0 + years)];
    const { commands, chunks } = await run(entries, new ShadeEngine(() => 0));
    expect(commands.length).toBeLessThan(10);
    expect(chunks.at(-1)!.stamp).toBeGreaterThanOrEqual(T0 + years);
  });

  test('simulated_time_is_the_bags_clock_not_the_time_of_recording', async () => {
    const later = 1_000_000n * SECOND;
    const entries = recording(50).flatMap(([topic, time, data], i): Entry[] => [
      ...(i % 3 === 0 ? [['/clock', time + later, clockMessage(time - 1n * MS)] as const] : []),
      [topic, time + later, data],
    ]);
    const { chunks, commands, outcome } = await run(entries, new ShadeEngine(() => 0), { simulated: true });
    expect(outcome.statistics.refusals).toEqual({});
    expect(chunks.length).toBeGreaterThan(2);
    expect(commands.map(({ time }) => time)).toEqual(Array.from({ length: 9 }, (_, i) => T0 + BigInt(i + 1) * PERIOD));
  });

  test('simulated_time_that_goes_back_restarts_the_pipeline_even_with_an_inference_in_flight', async () => {
    const once = recording(30).flatMap(([topic, time, data], i): Entry[] => [
      ...(i % 3 === 0 ? [['/clock', time, clockMessage(time - 1n * MS)] as const] : []),
      [topic, time, data],
    ]);
    const shifted = once.map(([topic, time, data]): Entry => [topic, time + SECOND, data]);
    const options = { simulated: true, latency: 250n * MS };
    const single = await run(once, new ShadeEngine(() => 2), options);
    const double = await run([...once, ...shifted], new ShadeEngine(() => 2), options);
    expect(single.chunks.length).toBeGreaterThan(0);
    expect(double.chunks.slice(0, single.chunks.length)).toEqual(single.chunks);
    expect(double.chunks.slice(single.chunks.length).length).toBeGreaterThan(0);
    expect(double.outcome.failure).toBeUndefined();
  });

  test.each(['/wrist', '/prompt'])('two_types_on_%s_which_it_reads_are_refused_and_on_another_topic_not', (topic) => {
    const conflict = `Expected messages of one type on ${topic}`;
    const withConflict = (name: string): Bag => {
      const bag = bagOf(recording(1));
      return { ...bag, topics: new Map([...bag.topics, [name, { type: 'a/msg/B', count: 1, conflict }]]) };
    };
    expect(() => replayInputs(config, false, withConflict(topic), 'the bag')).toThrow(conflict);
    expect(replayInputs(config, false, withConflict('/tf'), 'the bag').size).toBe(3);
  });

  test('an_empty_bag_gives_nothing', async () => {
    const bag: Bag = { ...bagOf([]), topics: bagOf(recording(1)).topics };
    const { inputs, outcome } = await emptied(bag);
    expect(inputs.size).toBe(3);
    expect(outcome).toMatchObject({ seconds: 0, statistics: { observations: 0, chunks: 0 } });
  });
});

async function emptied(bag: Bag): Promise<{ inputs: ReadonlyMap<string, unknown>; outcome: ReplayOutcome }> {
  const inputs = replayInputs(config, false, bag, 'the bag');
  const engine = new ShadeEngine(() => 0);
  const policy = new PlainPolicy();
  return {
    inputs,
    outcome: await replay({ bag, inputs, config, simulated: false, policy, engine, latency: 0n, listeners: [] }),
  };
}
