import { describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { Pi05Error } from '../../../src/errors.js';
import { Harness, flushPromises, ROWS, watchRejections } from './harness.js';
import { actionJoint, HOLDING, joints, MS, robot, SECOND, T0 } from './robot.js';

watchRejections();

/** The first step of a chunk was executed at T0, and the inference for the next chunk is in flight. The log is empty. */
async function secondInference(config: PolicyConfig): Promise<Harness> {
  const harness = new Harness(config);
  harness.offer(T0);
  await harness.engine.answer(10);
  harness.tick(T0);
  harness.offer(T0 + 20n * MS);
  harness.takeLog();
  return harness;
}

describe('faults', () => {
  test('after_an_engine_failure_the_plan_goes_on_to_its_end_and_then_the_robot_is_stopped', async () => {
    const harness = await secondInference(robot({}, { replanSteps: 1 }));
    await harness.engine.fail('out of memory');
    expect(harness.takeLog()).toEqual(['ENGINE_FAILED']);
    const log: string[] = [];
    for (let t = 100n; t < 1000n; t += 100n) {
      harness.offer(T0 + t * MS);
      log.push(...harness.tick(T0 + t * MS));
    }
    const steps = Array.from({ length: ROWS - 1 }, (_, i) => `step ${11 + i}`);
    expect(log).toEqual([...steps, 'stop 0', 'COMMAND_STARVED']);
  });

  test('chunks_that_are_requested_too_late_to_follow_each_other_are_reported_once', async () => {
    const harness = new Harness(robot({}, { replanSteps: 2, maxChunkAge: 250n * MS }));
    // The chunk of each observation arrives one tick after it: 2 steps of 0.1 s and 0.1 s of latency.
    for (let t = 0n; t < 1500n; t += 100n) {
      const wasBusy = harness.engine.busy;
      harness.tick(T0 + t * MS);
      if (wasBusy) await harness.engine.answer(10);
      harness.offer(T0 + t * MS);
    }
    expect(harness.faults.filter(({ code }) => code === 'CHUNK_AGE_LIMIT').map(({ message }) => message)).toEqual([
      expect.stringContaining('0.250'),
    ]);
  });

  test('after_an_engine_failure_no_step_is_executed_beyond_max_chunk_age', async () => {
    const harness = await secondInference(robot({}, { replanSteps: 1, maxChunkAge: 250n * MS }));
    await harness.engine.fail('out of memory');
    harness.takeLog();
    const log: string[] = [];
    for (let t = 100n; t < 500n; t += 100n) {
      harness.offer(T0 + t * MS);
      log.push(...harness.tick(T0 + t * MS));
    }
    expect(log).toEqual(['step 11', 'step 12', 'stop 0', 'COMMAND_STARVED']);
  });

  test('an_engine_failure_whose_code_latches_stops_at_once', async () => {
    const { safety, ...rest } = robot({}, { replanSteps: 1 });
    const harness = await secondInference({ ...rest, safety: { ...safety, latch: ['ENGINE_FAILED'] } });
    await harness.engine.fail('out of memory');
    expect(harness.takeLog()).toEqual(['stop 0', 'ENGINE_FAILED']);
  });

  test('an_engine_failure_without_a_plan_stops_the_robot_once_and_the_engine_is_tried_again_a_second_later', async () => {
    const harness = new Harness(robot({}, { replanSteps: 1 }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 10n * MS);
    harness.pipeline.setPrompt('another prompt', T0 + 15n * MS);
    harness.offer(T0 + 20n * MS);
    harness.takeLog();
    await harness.engine.fail('device lost');
    expect(harness.takeLog()).toEqual(['stop 0', 'ENGINE_FAILED']);
    expect(harness.faults[0]?.message).toBe('Expected a chunk from the engine, received an error (device lost)');
    for (let t = 100n; t < 1000n; t += 100n) {
      harness.offer(T0 + t * MS);
      expect(harness.tick(T0 + t * MS)).toEqual([]);
    }
    expect(harness.engine.busy).toBe(false);
    harness.offer(T0 + 1020n * MS);
    expect(harness.engine.busy).toBe(true);
    await harness.engine.fail('device lost');
    expect(harness.takeLog()).toEqual(['ENGINE_FAILED']);
    harness.offer(T0 + 2100n * MS);
    await harness.engine.answer(30);
    expect(harness.tick(T0 + 2110n * MS)).toEqual(['chunk', 'step 30']);
    harness.pipeline.deactivate(T0 + 2120n * MS);
    expect(harness.takeLog()).toEqual(['stop 0']);
  });

  test('a_lost_gpu_stops_the_robot_and_has_its_own_code', async () => {
    const harness = new Harness(robot({}, { mode: 'sync' }));
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 100n * MS);
    for (let t = 200n; !harness.engine.busy; t += 100n) {
      harness.offer(T0 + t * MS);
      harness.tick(T0 + t * MS);
    }
    harness.takeLog();
    await harness.engine.fail(
      new Pi05Error('DEVICE_LOST', 'cudaGraphLaunch (inference) failed: unspecified launch failure'),
    );
    expect(harness.takeLog()).toEqual(['stop 0', 'DEVICE_LOST']);
  });

  test('an_engine_that_throws_synchronously_is_a_failure_too', async () => {
    const harness = new Harness();
    harness.engine.infer = () => {
      throw new Error('closed');
    };
    harness.offer(T0);
    await flushPromises();
    expect(harness.takeLog()).toContain('ENGINE_FAILED');
  });

  test.each(['prepare', 'finish'] as const)('a_policy_that_throws_in_%s_is_a_failure_too', async (method) => {
    const harness = new Harness();
    harness.policy[method] = () => {
      throw new TypeError('a mistake');
    };
    harness.offer(T0);
    if (method === 'finish') await harness.engine.answer(1);
    expect(harness.takeLog()).toContain('ENGINE_FAILED');
    expect(harness.faults[0]?.message).toContain('a mistake');
  });

  test('after_a_stop_from_outside_only_a_newer_observation_is_used', async () => {
    const harness = new Harness();
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 100n * MS);
    harness.takeLog();
    harness.offer(T0 + 140n * MS);
    harness.pipeline.stop(T0 + 150n * MS, new Pi05Error('OUTPUT_SHARED', 'another commander'));
    expect(harness.pipeline.robotStopped(T0 + 160n * MS)).toBeUndefined();
    expect(harness.takeLog()).toEqual(['stop 0', 'OUTPUT_SHARED']);
    expect(harness.engine.busy).toBe(false);
    harness.offer(T0 + 160n * MS);
    expect(harness.engine.busy).toBe(false);
    harness.offer(T0 + 161n * MS);
    await harness.engine.answer(0);
    expect(harness.tick(T0 + 200n * MS)).toEqual(['chunk', 'step 0']);
  });

  test('a_chunk_that_was_requested_before_a_stop_from_outside_is_not_executed', async () => {
    const harness = new Harness();
    harness.offer(T0);
    expect(harness.pipeline.robotStopped(T0 + 10n * MS)).toMatchObject({ reason: 'stop' });
    expect(harness.takeLog()).toEqual([]);
    await harness.engine.answer(10);
    expect(harness.tick(T0 + 100n * MS)).toEqual([]);
  });

  test('a_stop_at_a_time_before_the_clock_went_back_does_not_wait_for_that_time_again', async () => {
    let now = T0;
    const harness = new Harness(robot(), () => now);
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0);
    now = T0 - 100n * SECOND;
    harness.offer(now);
    // The guard has not received the new time yet.
    harness.pipeline.robotStopped(T0);
    now += 10n * MS;
    harness.offer(now);
    await harness.engine.answer(20);
    harness.takeLog();
    expect(harness.tick(now + MS)).toEqual(['step 20']);
  });

  test('while_it_is_blocked_no_hold_is_sent_that_was_asked_for_before_the_first_plan', () => {
    const harness = new Harness(robot(HOLDING));
    harness.pipeline.blocked = true;
    harness.pipeline.stop(T0, new Pi05Error('OUTPUT_SHARED', 'another commander'));
    harness.takeLog();
    harness.pipeline.offerJoints(joints(T0), T0);
    expect(harness.tick(T0 + 10n * MS)).toEqual([]);
    harness.pipeline.blocked = false;
    expect(harness.tick(T0 + 20n * MS)).toEqual(['hold 0']);
  });

  test('while_it_is_blocked_no_inference_starts', () => {
    const harness = new Harness();
    harness.pipeline.blocked = true;
    harness.offer(T0);
    harness.offer(T0 + 100n * MS);
    harness.tick(T0 + 100n * MS);
    expect(harness.engine.busy).toBe(false);
    harness.pipeline.blocked = false;
    harness.offer(T0 + 200n * MS);
    expect(harness.engine.busy).toBe(true);
  });

  test('an_engine_that_fails_after_deactivation_causes_no_command', async () => {
    const harness = new Harness();
    harness.offer(T0);
    harness.pipeline.deactivate(T0);
    harness.takeLog();
    await harness.engine.fail('device lost');
    expect(harness.takeLog()).toEqual(['ENGINE_FAILED']);
  });

  test('a_chunk_that_is_not_finite_is_a_fault_and_is_neither_published_nor_executed', async () => {
    const harness = new Harness();
    harness.offer(T0);
    await harness.engine.answer(NaN);
    expect(harness.tick(T0 + 10n * MS)).toEqual(['CHUNK_NOT_FINITE']);
  });

  test('an_inference_beyond_the_timeout_is_reported_by_the_next_tick_and_its_chunk_is_dropped', async () => {
    const harness = new Harness(robot(HOLDING, { engineTimeout: 150n * MS }));
    harness.offer(T0);
    harness.offer(T0 + 100n * MS);
    expect(harness.tick(T0 + 100n * MS)).toEqual(['hold 0']);
    harness.offer(T0 + 200n * MS);
    expect(harness.tick(T0 + 200n * MS)).toEqual(['hold 0', 'ENGINE_LATE']);
    await harness.engine.answer(10);
    expect(harness.takeLog()).toEqual([]);
    await harness.engine.answer(20);
    expect(harness.chunks.map(({ stamp }) => stamp)).toEqual([T0 + 200n * MS]);
  });

  test('a_fault_that_lasts_is_reported_once_per_second_until_it_ends', async () => {
    const harness = new Harness(robot({}, { engineTimeout: 1500n * MS }));
    harness.offer(T0);
    await harness.engine.answer(10);
    const times = new Map<string, bigint[]>();
    const until = (end: bigint): void => {
      for (; now <= end; now += 100n * MS) {
        harness.offer(now);
        for (const code of harness.tick(now))
          if (/^[A-Z]/.test(code)) times.set(code, [...(times.get(code) ?? []), (now - T0) / MS]);
      }
    };
    let now = T0 + 100n * MS;
    until(T0 + 2600n * MS);
    expect(Object.fromEntries(times)).toEqual({
      // After 1.5 s of holding the robot is stopped.
      COMMAND_STARVED: [700n, 1700n, 2300n],
      ENGINE_LATE: [1800n],
    });
    await harness.engine.answer(20);
    await harness.engine.answer(20);
    times.clear();
    until(T0 + 2800n * MS);
    expect(times.size).toBe(0);
    until(T0 + 3600n * MS);
    expect(times.get('COMMAND_STARVED')).toHaveLength(1);
  });

  test('the_guards_answer_to_a_stop_does_not_drop_the_inference_of_a_newer_observation', async () => {
    const harness = new Harness();
    harness.offer(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + 10n * MS);
    harness.pipeline.stop(T0 + 20n * MS, new Pi05Error('OUTPUT_SHARED', 'another commander'));
    harness.offer(T0 + 30n * MS);
    expect(harness.pipeline.robotStopped(T0 + 20n * MS)).toBeUndefined();
    await harness.engine.answer(20);
    harness.takeLog();
    expect(harness.tick(T0 + 40n * MS)).toEqual(['step 20']);
    // A stop of the guard itself, or a later one, ends the motion.
    harness.pipeline.robotStopped(T0 + 20n * MS, new Pi05Error('COMMAND_LIMIT', 'a limit'));
    expect(harness.takeLog()).toEqual(['COMMAND_LIMIT']);
    expect(harness.tick(T0 + 50n * MS)).toEqual([]);
  });

  test('prompts_that_change_faster_than_chunks_arrive_are_reported', async () => {
    const harness = new Harness(robot(HOLDING));
    for (let i = 0n; i < 3n; i++) {
      const now = T0 + i * 100n * MS;
      harness.offer(now);
      harness.pipeline.setPrompt(`prompt ${i}`, now + MS);
      expect(harness.tick(now + 2n * MS)).toEqual(i < 2n ? ['hold 0'] : ['hold 0', 'PROMPT_CHANGING']);
      await harness.engine.answer(10);
    }
    harness.offer(T0 + 310n * MS);
    await harness.engine.answer(10);
    expect(harness.tick(T0 + 320n * MS)).toEqual(['chunk', 'step 10']);
  });

  test('a_late_tick_is_reported_and_still_sends_its_command', async () => {
    const harness = new Harness(robot(HOLDING));
    harness.offer(T0);
    expect(harness.tick(T0, 20n * MS)).toEqual(['hold 0']);
    expect(harness.tick(T0 + 10n * MS, 21n * MS)).toEqual(['TICK_LATE', 'hold 0']);
    expect(harness.tick(T0 + 20n * MS, 30n * MS)).toEqual(['hold 0']);
    expect(harness.faults.map(String)).toEqual([
      'TICK_LATE: Expected a control tick at most 20.0 ms late, received one 21.0 ms late',
    ]);
    await harness.engine.answer(0);
  });

  test('a_jump_of_the_first_command_is_not_executed_and_the_next_chunk_is_requested', async () => {
    const limited = {
      action: { joints: ['a', 'b'].map((name) => actionJoint(name, { maxVelocity: 1 })), bound: 'none' as const },
    };
    const harness = new Harness(robot(limited));
    harness.offer(T0);
    await harness.engine.answer(10);
    expect(harness.tick(T0 + 10n * MS)).toEqual(['chunk', 'COMMAND_JUMP']);
    harness.offer(T0 + 20n * MS);
    await harness.engine.answer(0);
    expect(harness.tick(T0 + 30n * MS)).toEqual(['chunk', 'step 0']);
  });

  test('a_sink_that_throws_on_a_chunk_stops_the_robot', async () => {
    const harness = new Harness();
    harness.sink.chunk = () => {
      throw new Error('no publisher');
    };
    harness.offer(T0);
    await harness.engine.answer(10);
    expect(harness.takeLog()).toEqual(['stop 0', 'ENGINE_FAILED']);
  });
});
