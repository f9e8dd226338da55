import { expect, test } from '@jest/globals';
import type { ScheduleConfig } from '../../../src/config/config.js';
import { Harness, TICK, watchRejections } from './harness.js';
import { joints, robot, T0 } from './robot.js';

watchRejections();

/** Executes a first chunk for three ticks, up to the second request. Its inference took one tick. */
async function untilSecondRequest(schedule: Partial<ScheduleConfig>): Promise<Harness> {
  const harness = new Harness(robot({}, { replanSteps: 3, ...schedule }));
  harness.offer(T0);
  harness.tick(T0 + TICK);
  await harness.engine.answer(10);
  for (const now of [2n, 3n, 4n].map((tick) => T0 + tick * TICK)) {
    harness.pipeline.offerJoints(joints(now), now);
    harness.tick(now);
  }
  harness.offer(T0 + 4n * TICK + 1n);
  expect(harness.engine.requests).toHaveLength(2);
  return harness;
}

test('in_rtc_the_engine_receives_the_steps_that_are_left_and_the_delay', async () => {
  const harness = await untilSecondRequest({ mode: 'rtc', rtc: { schedule: 'exp', horizon: undefined, maxWeight: 5 } });
  const [first, second] = harness.engine.requests;
  expect(first!.rtc).toBeUndefined();
  expect(second!.rtc).toEqual({
    mode: 'guided',
    previous: Float32Array.of(13, 14, 15),
    previousRows: 3,
    delay: 1,
    schedule: 'exp',
    executionHorizon: 3,
    maxWeight: 5,
  });
});

test('in_rtc_trained_the_engine_receives_the_known_steps', async () => {
  const { requests } = (await untilSecondRequest({ mode: 'rtc_trained' })).engine;
  expect(requests[0]!.rtc).toBeUndefined();
  expect(requests[1]!.rtc).toEqual({
    mode: 'trained',
    previous: Float32Array.of(13, 14, 15),
    previousRows: 3,
    delay: 1,
  });
});

test('in_rtc_the_first_chunk_for_a_new_prompt_is_not_guided', async () => {
  const harness = await untilSecondRequest({ mode: 'rtc' });
  harness.pipeline.setPrompt('pick up the green block', T0 + 4n * TICK + 2n);
  await harness.engine.answer(20);
  harness.offer(T0 + 5n * TICK);
  expect(harness.engine.requests).toHaveLength(3);
  expect(harness.engine.requests[2]!.rtc).toBeUndefined();
});

test('in_rtc_trained_a_delay_beyond_the_trained_one_is_reported_while_it_lasts', async () => {
  const { faults } = await untilSecondRequest({ mode: 'rtc_trained', delay: 9n * TICK });
  expect(faults.map(({ code }) => code)).toEqual(['RTC_DELAY']);
});

test('the_delay_is_shown_as_estimated_or_fixed', async () => {
  const estimated = await untilSecondRequest({ mode: 'rtc' });
  expect(estimated.pipeline.statistics.delay).toEqual({ ms: 100, fixed: false });
  const fixed = await untilSecondRequest({ mode: 'rtc', delay: 3n * TICK });
  expect(fixed.pipeline.statistics.delay).toEqual({ ms: 300, fixed: true });
  expect(fixed.engine.requests[1]!.rtc).toMatchObject({ delay: 3 });
});
