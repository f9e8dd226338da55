import { describe, expect, test } from '@jest/globals';
import { Refusal } from '../../../src/errors.js';
import { Bench, TICK, watchRejections } from './bench.js';
import { image, joints, MS, robot, SECOND, T0 } from './robot.js';

watchRejections();

describe('lock-step', () => {
  const config = robot({}, { lockstep: true, mode: 'sync', replanSteps: 2 });

  test('a_tick_waits_for_every_input_of_its_time_and_for_the_inference_on_them', async () => {
    const bench = new Bench(config);
    expect(bench.tick(T0)).toEqual([]);
    bench.pipeline.offerJoints(joints(T0), T0);
    bench.pipeline.offerImage('exterior', image(T0, 1), T0);
    expect(bench.engine.busy).toBe(false);
    bench.pipeline.offerImage('wrist', image(T0, 2), T0);
    expect(bench.said()).toEqual([]);
    await bench.engine.answer(10);
    expect(bench.said()).toEqual(['chunk', 'step 10']);
    expect(bench.commands[0]?.time).toBe(T0);
  });

  test('a_tick_that_wants_no_inference_still_waits_for_its_inputs_and_ends_with_one_command', async () => {
    const bench = new Bench(config);
    bench.offer(T0);
    bench.tick(T0);
    await bench.engine.answer(10);
    bench.said();
    expect(bench.tick(T0 + TICK)).toEqual([]);
    bench.offer(T0 + TICK);
    expect(bench.said()).toEqual(['step 11']);
    bench.offer(T0 + 2n * TICK);
    expect(bench.engine.busy).toBe(false);
    bench.tick(T0 + 2n * TICK);
    expect(bench.engine.busy).toBe(true);
    await bench.engine.answer(20);
    expect(bench.said()).toEqual(['chunk', 'step 20']);
    expect(bench.chunks.map(({ stamp }) => stamp)).toEqual([T0, T0 + 2n * TICK]);
  });

  test.each(['sync', 'async'] as const)('in_%s_every_tick_has_one_command_and_no_step_is_dropped', async (mode) => {
    const bench = new Bench(robot({}, { lockstep: true, mode, replanSteps: 3 }));
    const steps: string[] = [];
    for (let i = 0n; i < 9n; i++) {
      const now = T0 + i * TICK;
      if (i % 2n === 0n) bench.offer(now);
      bench.tick(now);
      if (i % 2n === 1n) bench.offer(now);
      if (bench.engine.busy) await bench.engine.answer(Number(i) * 10);
      steps.push(
        ...bench.commands.splice(0).map(({ reason, time, values }) => `${(time - T0) / TICK} ${reason} ${values[0]}`),
      );
    }
    expect(steps).toEqual([
      '0 step 0',
      '1 step 1',
      '2 step 2',
      '3 step 30',
      '4 step 31',
      '5 step 32',
      '6 step 60',
      '7 step 61',
      '8 step 62',
    ]);
  });

  test('messages_of_a_tick_may_come_before_its_clock_however_long_its_period', async () => {
    const bench = new Bench(robot({ controlRate: 2 }, { lockstep: true, mode: 'sync', replanSteps: 1 }));
    for (let now = T0; now < T0 + 3n * SECOND; now += 500n * MS) {
      bench.offer(now + 500n * MS, now);
      bench.pipeline.tick(now + 500n * MS, 0n);
      await bench.engine.answer(0);
    }
    expect(bench.refusals).toEqual([]);
    expect(bench.commands).toHaveLength(6);
  });

  test('a_command_owed_at_deactivation_is_never_given', async () => {
    const bench = new Bench(config);
    bench.offer(T0);
    bench.tick(T0);
    bench.pipeline.deactivate(T0 + 1n);
    expect(bench.said()).toEqual(['stop 0']);
    bench.pipeline.activate(T0 + TICK);
    bench.offer(T0 + TICK);
    expect(bench.tick(T0 + TICK)).toEqual([]);
    await bench.engine.answer(10);
    await bench.engine.answer(20);
    expect(bench.commands.slice(1).map(({ time }) => time)).toEqual([T0 + TICK]);
  });

  test('a_failure_ends_the_tick_with_the_stop_action', async () => {
    const bench = new Bench(config);
    bench.offer(T0);
    bench.tick(T0);
    await bench.engine.fail('device lost');
    expect(bench.said()).toEqual(['stop 0', 'ENGINE_FAILED']);
  });

  test('a_refusal_releases_the_tick', async () => {
    const bench = new Bench(config);
    bench.offer(T0);
    bench.tick(T0);
    await bench.engine.answer(10);
    bench.tick(T0 + TICK);
    bench.said();
    bench.pipeline.offerJoints(joints(T0 + TICK, { a: NaN, b: 0 }), T0 + TICK);
    expect(bench.said()).toEqual(['JOINT_NOT_FINITE', 'step 11']);
  });

  test('the_next_tick_releases_one_whose_inputs_never_came', async () => {
    const bench = new Bench(config);
    bench.offer(T0);
    bench.tick(T0);
    await bench.engine.answer(10);
    bench.said();
    expect(bench.tick(T0 + 40n * MS)).toEqual([]);
    expect(bench.tick(T0 + 80n * MS)).toEqual(['step 11']);
  });

  test.each<[string, (bench: Bench) => void]>([
    ['an empty prompt', (bench) => bench.pipeline.setPrompt('', T0)],
    ['a prompt too long', (bench) => (bench.policy.refuse = new Refusal('PROMPT_TOO_LONG', 'too long', 'prompt'))],
    ['an engine that is not finite', (bench) => (bench.engine.broken = true)],
  ])('every_tick_has_its_command_whatever_lasts: %s', async (_, spoil) => {
    const bench = new Bench(config);
    spoil(bench);
    for (let i = 0n; i < 5n; i++) {
      bench.offer(T0 + i * TICK);
      bench.tick(T0 + i * TICK);
      if (bench.engine.busy) await bench.engine.answer(0);
      expect(bench.commands.map(({ reason, time }) => [reason, time])).toEqual([['hold', T0 + i * TICK]]);
      bench.commands.length = 0;
    }
  });
});
