import { describe, expect, test } from '@jest/globals';
import { Refusal } from '../../../src/errors.js';
import { Harness, ROWS, TICK, flushPromises, watchRejections } from './harness.js';
import { HOLDING, image, joints, MS, robot, SECOND, T0 } from './robot.js';

watchRejections();

describe('from messages to commands', () => {
  test('an_inference_starts_with_the_message_that_completes_the_set_not_on_the_tick', async () => {
    const harness = new Harness();
    harness.offerImage('exterior', image(T0, 1), T0);
    harness.pipeline.offerJoints(joints(T0), T0);
    expect(harness.engine.busy).toBe(false);
    harness.offerImage('wrist', image(T0, 2), T0);
    expect(harness.engine.busy).toBe(true);
    expect(harness.engine.requests[0]?.images).toHaveLength(2);
    await harness.engine.answer(10);
    expect(harness.takeLog()).toEqual(['chunk']);
    expect(harness.tick(T0 + TICK)).toEqual(['step 10']);
    harness.pipeline.offerJoints(joints(T0 + 2n * TICK), T0 + 2n * TICK);
    expect(harness.tick(T0 + 2n * TICK)).toContain('step 11');
  });

  test('a_chunk_reaches_the_sink_once_with_its_times', async () => {
    const harness = new Harness();
    harness.offer(T0);
    harness.pipeline.offerJoints(joints(T0 + 30n * MS), T0 + 30n * MS);
    await harness.engine.answer(10);
    expect(harness.chunks).toHaveLength(1);
    expect(harness.chunks[0]).toMatchObject({
      stamp: T0,
      rows: ROWS,
      joints: ['a', 'b'],
      inferenceMs: 12,
      latencyMs: 30,
    });
    expect([...harness.chunks[0]!.values.subarray(0, 4)]).toEqual([10, 10, 11, 11]);
  });

  test('latency_is_measured_by_the_clock_where_there_is_one', async () => {
    let now = T0;
    const harness = new Harness(robot(), () => now);
    harness.offer(T0);
    now = T0 + 45n * MS;
    await harness.engine.answer(10);
    expect(harness.chunks[0]?.latencyMs).toBe(45);
  });

  test('one_inference_is_in_flight_and_the_newest_observation_is_next', async () => {
    const harness = new Harness(robot({}, { replanSteps: 1 }));
    harness.offer(T0);
    for (let i = 1n; i <= 5n; i++) harness.offer(T0 + i * 10n * MS);
    expect(harness.engine.requests).toHaveLength(1);
    await harness.engine.answer(10);
    harness.tick(T0 + 60n * MS);
    expect(harness.engine.requests).toHaveLength(2);
    await harness.engine.answer(20);
    expect(harness.chunks.map(({ stamp }) => stamp)).toEqual([T0, T0 + 50n * MS]);
  });

  test('a_complete_set_is_used_as_soon_as_the_tick_wants_one', async () => {
    const harness = new Harness(robot({}, { mode: 'sync', replanSteps: 2 }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.offer(T0 + 10n * MS);
    expect(harness.engine.busy).toBe(false);
    harness.tick(T0 + 20n * MS);
    expect(harness.engine.busy).toBe(false);
    harness.tick(T0 + 120n * MS);
    expect(harness.engine.busy).toBe(false);
    harness.offer(T0 + 130n * MS);
    expect(harness.engine.busy).toBe(true);
  });

  test('frames_with_the_same_stamp_are_used_together', async () => {
    const harness = new Harness(robot({}, { replanSteps: 1 }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 5n * MS);
    const next = T0 + 20n * MS;
    harness.pipeline.offerJoints(joints(T0 + 15n * MS), T0 + 15n * MS);
    harness.offerImage('exterior', image(next, 1), next);
    expect(harness.engine.busy).toBe(false);
    harness.offerImage('wrist', image(next, 2), next);
    expect(harness.engine.busy).toBe(true);
    await harness.engine.answer(20);
    expect(harness.chunks.map(({ stamp }) => stamp)).toEqual([T0, next]);
  });

  test('a_stream_slower_than_the_ticks_delays_an_inference_by_one_tick_at_most', async () => {
    const harness = new Harness(robot({}, { replanSteps: 1 }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 5n * MS);
    harness.pipeline.offerJoints(joints(T0 + 15n * MS), T0 + 15n * MS);
    expect(harness.engine.busy).toBe(false);
    harness.tick(T0 + 25n * MS);
    expect(harness.engine.busy).toBe(true);
    await harness.engine.answer(20);
    expect(harness.chunks.at(-1)?.stamp).toBe(T0 + 15n * MS);
  });

  test('flow_steps_are_passed_on_only_where_configured', async () => {
    const [own, given] = [new Harness(), new Harness(robot({ flowSteps: 5 }))];
    for (const harness of [own, given]) harness.offer(T0);
    expect([own.engine.requests[0]!.steps, given.engine.requests[0]!.steps]).toEqual([undefined, 5]);
    for (const harness of [own, given]) await harness.engine.answer(0);
  });

  test('inputs_are_ignored_while_inactive_except_for_the_prompt', async () => {
    const harness = new Harness(robot({ prompt: '' }));
    harness.pipeline.deactivate(T0);
    harness.takeLog();
    harness.offer(T0 + 1n);
    harness.offerImage('wrist', image(T0, 1, { encoding: '16UC1' }), T0);
    harness.pipeline.tick(T0 + SECOND, 0n);
    harness.pipeline.setPrompt('go', T0 + SECOND);
    expect([harness.takeLog(), harness.engine.busy]).toEqual([[], false]);
    harness.pipeline.activate(T0 + SECOND);
    harness.offer(T0 + SECOND);
    expect(harness.engine.busy).toBe(true);
    await harness.engine.answer(0);
  });
});

describe('refusals', () => {
  test('the_first_valid_message_after_a_refused_one_is_used_at_once', async () => {
    const harness = new Harness(robot({}, { replanSteps: 1 }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 10n * MS);
    harness.offerImage('wrist', image(T0 + 20n * MS, 2, { step: 1 }), T0 + 20n * MS);
    expect(harness.takeLog()).toEqual(['IMAGE_DATA']);
    harness.offer(T0 + 21n * MS);
    expect(harness.engine.busy).toBe(true);
    await harness.engine.answer(20);
    expect(harness.chunks.map(({ stamp }) => stamp)).toEqual([T0, T0 + 21n * MS]);
  });

  test('missing_messages_are_reported_by_the_tick_after_their_age_and_missing_joint_states_stop_the_robot', async () => {
    const harness = new Harness();
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.takeLog();
    expect(harness.tick(T0 + 100n * MS)).toEqual(['step 10']);
    harness.pipeline.offerJoints(joints(T0 + 200n * MS), T0 + 200n * MS);
    expect(harness.tick(T0 + 200n * MS)).toEqual(['step 11']);
    expect(harness.tick(T0 + 300n * MS)).toEqual(['step 12', 'CAMERA_STALE', 'CAMERA_STALE']);
    expect(harness.tick(T0 + 400n * MS)).toEqual(['stop 12', 'STATE_LOST', 'STATE_STALE']);
    expect(harness.tick(T0 + 500n * MS)).toEqual([]);
  });

  test('a_message_that_could_not_be_read_is_counted_too', () => {
    const harness = new Harness();
    harness.pipeline.refuse(
      new Refusal('MESSAGE_DATA', 'Expected 4 bytes, received 3 from joint_states', 'joint_states'),
      T0,
    );
    expect(harness.takeLog()).toEqual(['MESSAGE_DATA']);
    expect(harness.pipeline.statistics.refusals).toEqual({ MESSAGE_DATA: 1 });
  });

  test('a_prompt_that_the_policy_refuses_is_tried_and_reported_once_per_second_and_the_next_prompt_at_once', async () => {
    const harness = new Harness();
    harness.policy.refuse = new Refusal('PROMPT_TOO_LONG', 'Expected at most 200 tokens, received 300', 'prompt');
    for (let t = T0; t < T0 + 2n * SECOND; t += 10n * MS) {
      harness.offer(t);
      if ((t - T0) % TICK === 0n) harness.pipeline.tick(t, 0n);
    }
    expect(harness.refusals.map(({ code }) => code)).toEqual(['PROMPT_TOO_LONG', 'PROMPT_TOO_LONG']);
    expect(harness.policy.prepared).toBe(2);
    harness.policy.refuse = undefined;
    harness.pipeline.setPrompt('shorter', T0 + 2n * SECOND);
    expect(harness.engine.busy).toBe(true);
    await harness.engine.answer(0);
  });
});

describe('a new prompt', () => {
  test('ends_the_old_motion_and_drops_the_chunk_requested_before', async () => {
    const harness = new Harness(robot({}, { replanSteps: 1 }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 10n * MS);
    harness.offer(T0 + 20n * MS);
    harness.pipeline.setPrompt('something else', T0 + 30n * MS);
    harness.takeLog();
    expect(harness.tick(T0 + 40n * MS)).toEqual(['hold 10']);
    await harness.engine.answer(20);
    expect(harness.takeLog()).toEqual([]);
    expect(harness.pipeline.statistics.outdated).toBe(1);
    harness.offer(T0 + 50n * MS);
    await harness.engine.answer(30);
    expect(harness.tick(T0 + 60n * MS)).toEqual(['chunk', 'step 30']);
  });

  test('the_same_prompt_again_changes_nothing', async () => {
    const harness = new Harness();
    harness.offer(T0);
    harness.pipeline.setPrompt('pick up the red block', T0);
    await harness.engine.answer(10);
    expect(harness.takeLog()).toEqual(['chunk']);
  });
});

describe('deactivation', () => {
  test('sends_the_stop_action_once_and_last_and_drops_the_inference_in_flight', async () => {
    const harness = new Harness(robot({}, { replanSteps: 1 }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 10n * MS);
    harness.offer(T0 + 20n * MS);
    expect(harness.engine.busy).toBe(true);
    harness.takeLog();
    harness.pipeline.deactivate(T0 + 30n * MS);
    harness.pipeline.deactivate(T0 + 30n * MS);
    harness.pipeline.tick(T0 + 40n * MS, 0n);
    let idle = false;
    const waiting = harness.pipeline.idle().then(() => (idle = true));
    await flushPromises();
    expect(idle).toBe(false);
    await harness.engine.answer(20);
    await waiting;
    expect(harness.takeLog()).toEqual(['stop 0']);
  });

  test('after_a_reactivation_during_an_inference_the_next_inference_starts_when_that_one_ends', async () => {
    const harness = new Harness();
    harness.offer(T0);
    harness.pipeline.deactivate(T0);
    harness.pipeline.activate(T0 + 10n * MS);
    harness.offer(T0 + 10n * MS);
    expect(harness.engine.requests).toHaveLength(1);
    await harness.engine.answer(10);
    expect(harness.chunks).toHaveLength(0);
    expect(harness.engine.requests).toHaveLength(2);
    await harness.engine.answer(20);
    expect(harness.chunks.map(({ stamp }) => stamp)).toEqual([T0 + 10n * MS]);
  });
});

describe('time that jumps back', () => {
  test.each([
    [500n * SECOND, 50n * MS],
    [60n * MS, 0n],
    [60n * SECOND, 3600n * SECOND],
  ])('by_%d_ns_stops_the_robot_and_forgets_all_inputs_for_any_maximum_skew', async (back, maxSkew) => {
    const harness = new Harness(robot({ sync: { maxSkew } }, { replanSteps: 1 }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0);
    harness.takeLog();
    const again = T0 - back;
    harness.offer(again);
    expect(harness.takeLog()).toEqual(['stop 0', 'CLOCK_BACKWARDS']);
    harness.offer(again + MS);
    expect(harness.engine.requests).toHaveLength(2);
    await harness.engine.answer(20);
    expect(harness.takeLog()).toEqual(['chunk']);
    expect(harness.tick(again + 2n * MS)).toEqual(['step 20']);
  });

  test('by_a_correction_of_the_clock_does_not', async () => {
    const harness = new Harness();
    harness.offer(T0);
    harness.pipeline.offerJoints(joints(T0), T0 - 10n * MS);
    await harness.engine.answer(10);
    expect(harness.takeLog()).toEqual(['chunk']);
  });
});

test('statistics_count_what_happened', async () => {
  const harness = new Harness(robot(HOLDING, { replanSteps: 1 }));
  for (let i = 0n; i < 3n; i++) {
    const now = T0 + i * TICK;
    harness.offer(now);
    harness.pipeline.tick(now, (i + 1n) * MS);
    await harness.engine.answer(Number(i));
  }
  harness.pipeline.offerJoints(joints(T0 + SECOND, { a: NaN, b: 0 }), T0 + 300n * MS);
  harness.pipeline.deactivate(T0 + 300n * MS);
  const { lastRefusal, cameras, ...counted } = harness.pipeline.statistics;
  expect(lastRefusal?.code).toBe('JOINT_NOT_FINITE');
  const used = { offered: 3, dropped: 0, accepted: 3, used: 3 };
  expect(cameras).toEqual({ exterior: used, wrist: used });
  expect(counted).toEqual({
    active: false,
    observations: 3,
    chunks: 3,
    outdated: 0,
    commands: { step: 2, hold: 1, stop: 1 },
    refusals: { JOINT_NOT_FINITE: 1 },
    faults: {},
    lastFault: undefined,
    inferenceMs: { p50: 12, p95: 12, p99: 12 },
    latencyMs: { p50: 0, p95: 0, p99: 0 },
    delay: { ms: 0, fixed: false },
    motion: {
      seams: 1,
      lastJump: 0,
      maxJump: 0,
      maxJumpJoint: '',
      disagreement: 0,
      jerkRms: expect.closeTo(577.35, 2),
      jerkMax: expect.closeTo(1000, 6),
      idleSteps: 0,
    },
    ticks: 3,
    tickLatenessMs: { p50: 2, p95: 3, p99: 3 },
    maxTickLatenessMs: 3,
  });
});

test('statistics_keep_to_the_most_recent_samples', () => {
  const harness = new Harness();
  for (let i = 0; i < 4096; i++) harness.pipeline.tick(T0, 1000n * MS);
  for (let i = 0; i < 4096; i++) harness.pipeline.tick(T0, 1n * MS);
  expect(harness.pipeline.statistics.tickLatenessMs).toEqual({ p50: 1, p95: 1, p99: 1 });
});
