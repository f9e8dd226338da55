import { describe, expect, test } from '@jest/globals';
import { Refusal } from '../../../src/errors.js';
import { Harness, TICK, watchRejections } from './harness.js';
import { actionJoint, image, joints, MS, robot, SECOND, T0 } from './robot.js';

watchRejections();

describe('lock-step', () => {
  const config = robot({}, { lockstep: true, mode: 'sync', replanSteps: 2 });

  test('a_tick_waits_for_every_input_of_its_time_and_for_the_inference_on_them', async () => {
    const harness = new Harness(config);
    expect(harness.tick(T0)).toEqual([]);
    harness.pipeline.offerJoints(joints(T0), T0);
    harness.offerImage('exterior', image(T0, 1), T0);
    expect(harness.engine.busy).toBe(false);
    harness.offerImage('wrist', image(T0, 2), T0);
    expect(harness.takeLog()).toEqual([]);
    await harness.engine.answer(10);
    expect(harness.takeLog()).toEqual(['chunk', 'step 10']);
    expect(harness.commands[0]?.time).toBe(T0);
  });

  test('a_tick_that_wants_no_inference_still_waits_for_its_inputs_and_ends_with_one_command', async () => {
    const harness = new Harness(config);
    harness.offer(T0);
    harness.tick(T0);
    await harness.engine.answer(10);
    harness.takeLog();
    expect(harness.tick(T0 + TICK)).toEqual([]);
    harness.offer(T0 + TICK);
    expect(harness.takeLog()).toEqual(['step 11']);
    harness.offer(T0 + 2n * TICK);
    expect(harness.engine.busy).toBe(false);
    harness.tick(T0 + 2n * TICK);
    expect(harness.engine.busy).toBe(true);
    await harness.engine.answer(20);
    expect(harness.takeLog()).toEqual(['chunk', 'step 20']);
    expect(harness.chunks.map(({ stamp }) => stamp)).toEqual([T0, T0 + 2n * TICK]);
  });

  test.each(['sync', 'async'] as const)('in_%s_every_tick_has_one_command_and_no_step_is_dropped', async (mode) => {
    const harness = new Harness(robot({}, { lockstep: true, mode, replanSteps: 3 }));
    const steps: string[] = [];
    for (let i = 0n; i < 9n; i++) {
      const now = T0 + i * TICK;
      if (i % 2n === 0n) harness.offer(now);
      harness.tick(now);
      if (i % 2n === 1n) harness.offer(now);
      if (harness.engine.busy) await harness.engine.answer(Number(i) * 10);
      steps.push(
        ...harness.commands.splice(0).map(({ reason, time, values }) => `${(time - T0) / TICK} ${reason} ${values[0]}`),
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

  test('messages_of_a_tick_may_arrive_before_its_clock_message_by_up_to_one_period', async () => {
    const harness = new Harness(robot({ controlRate: 2 }, { lockstep: true, mode: 'sync', replanSteps: 1 }));
    for (let now = T0; now < T0 + 3n * SECOND; now += 500n * MS) {
      harness.offer(now + 500n * MS, now);
      harness.pipeline.tick(now + 500n * MS, 0n);
      await harness.engine.answer(0);
    }
    expect(harness.refusals).toEqual([]);
    expect(harness.commands).toHaveLength(6);
  });

  test('a_command_that_is_pending_at_deactivation_is_never_sent', async () => {
    const harness = new Harness(config);
    harness.offer(T0);
    harness.tick(T0);
    harness.pipeline.deactivate(T0 + 1n);
    expect(harness.takeLog()).toEqual(['stop 0']);
    harness.pipeline.activate(T0 + TICK);
    harness.offer(T0 + TICK);
    expect(harness.tick(T0 + TICK)).toEqual([]);
    await harness.engine.answer(10);
    await harness.engine.answer(20);
    expect(harness.commands.slice(1).map(({ time }) => time)).toEqual([T0 + TICK]);
  });

  test('a_failure_ends_the_tick_with_the_stop_action', async () => {
    const harness = new Harness(config);
    harness.offer(T0);
    harness.tick(T0);
    await harness.engine.fail('device lost');
    expect(harness.takeLog()).toEqual(['stop 0', 'ENGINE_FAILED']);
  });

  test('a_refusal_releases_the_tick', async () => {
    const harness = new Harness(config);
    harness.offer(T0);
    harness.tick(T0);
    await harness.engine.answer(10);
    harness.tick(T0 + TICK);
    harness.takeLog();
    harness.pipeline.offerJoints(joints(T0 + TICK, { a: NaN, b: 0 }), T0 + TICK);
    expect(harness.takeLog()).toEqual(['JOINT_NOT_FINITE', 'step 11']);
  });

  test.each(['before', 'after'])(
    'a_refusal_that_comes_before_the_clock_of_its_tick_releases_it: %s the last command',
    async (order) => {
      const harness = new Harness(config);
      harness.offer(T0);
      harness.tick(T0);
      const refused = joints(T0 + TICK, { a: NaN, b: 0 });
      if (order === 'before') harness.pipeline.offerJoints(refused, T0);
      await harness.engine.answer(10);
      harness.takeLog();
      if (order === 'after') harness.pipeline.offerJoints(refused, T0);
      harness.offerImage('exterior', image(T0 + TICK, 1), T0);
      harness.takeLog();
      const [command] = harness.tick(T0 + TICK);
      expect(command).toMatch(/^(step|hold)/);
      // The tick after it waits for its inputs again.
      harness.pipeline.offerJoints(joints(T0 + 2n * TICK), T0 + TICK);
      expect(harness.tick(T0 + 2n * TICK)).toEqual([]);
    },
  );

  test('the_next_tick_releases_a_tick_whose_inputs_never_arrived', async () => {
    const harness = new Harness(config);
    harness.offer(T0);
    harness.tick(T0);
    await harness.engine.answer(10);
    harness.takeLog();
    expect(harness.tick(T0 + 40n * MS)).toEqual([]);
    expect(harness.tick(T0 + 80n * MS)).toEqual(['step 11']);
  });

  test('every_tick_has_its_command_while_joints_are_in_doubt_after_a_jump_and_motion_continues_after_it', async () => {
    const limited = { maxVelocity: 1 };
    const action = { joints: [actionJoint('a', limited), actionJoint('b', limited)], bound: 'none' as const };
    const harness = new Harness(robot({ action }, { lockstep: true, mode: 'sync', replanSteps: 2 }));
    const commands: string[] = [];
    for (let i = 0n; i < 16n; i++) {
      const now = T0 + i * TICK;
      const position = i < 2n ? 0 : 2;
      harness.offerImage('exterior', image(now, 1), now);
      harness.offerImage('wrist', image(now, 2), now);
      harness.pipeline.offerJoints(joints(now, { a: position, b: position }), now);
      harness.tick(now);
      if (harness.engine.busy) await harness.engine.answer(position);
      const [command, ...others] = harness.commands.splice(0);
      expect(others).toEqual([]);
      commands.push(`${command?.reason} ${command?.values[0]}`);
    }
    expect(commands.slice(0, 2)).toEqual(['step 0', 'step 0.1']);
    expect(commands.slice(2, 12)).toEqual(new Array<string>(10).fill('stop 0.1'));
    expect(commands.slice(12)).toEqual(['step 2', 'step 2.1', 'step 2', 'step 2.1']);
    expect(new Set(harness.faults.map(({ code }) => code))).toEqual(new Set(['STATE_LOST']));
  });

  test('a_refusal_that_is_reported_only_once_per_second_releases_each_tick', async () => {
    const harness = new Harness(config);
    harness.offer(T0);
    harness.tick(T0);
    await harness.engine.answer(10);
    for (let i = 1n; i < 5n; i++) {
      const now = T0 + i * TICK;
      harness.commands.length = 0;
      harness.tick(now);
      harness.offerImage('wrist', image(T0 - SECOND + i, 2), now);
      expect(harness.commands.map(({ time }) => time)).toEqual([now]);
    }
  });

  test('a_tick_for_which_no_safe_command_is_known_is_answered_when_one_is', async () => {
    const harness = new Harness(config);
    harness.tick(T0);
    harness.pipeline.offerJoints(joints(T0, { a: NaN, b: 0 }), T0);
    expect(harness.takeLog()).toEqual(['JOINT_NOT_FINITE']);
    harness.offer(T0);
    await harness.engine.answer(10);
    expect(harness.takeLog()).toEqual(['chunk', 'step 10']);
  });

  test.each<[string, (harness: Harness) => void]>([
    ['an empty prompt', (harness) => harness.pipeline.setPrompt('', T0)],
    ['a prompt too long', (harness) => (harness.policy.refuse = new Refusal('PROMPT_TOO_LONG', 'too long', 'prompt'))],
    ['an engine whose actions are not finite', (harness) => (harness.engine.broken = true)],
  ])('every_tick_has_its_command_under_a_lasting_condition: %s', async (_, breakInputs) => {
    const harness = new Harness(config);
    breakInputs(harness);
    for (let i = 0n; i < 5n; i++) {
      harness.offer(T0 + i * TICK);
      harness.tick(T0 + i * TICK);
      if (harness.engine.busy) await harness.engine.answer(0);
      expect(harness.commands.map(({ reason, time }) => [reason, time])).toEqual([['hold', T0 + i * TICK]]);
      harness.commands.length = 0;
    }
  });
});
