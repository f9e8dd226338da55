import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import type { Engine, InferRequest, InferResult, ModelInfo } from '../../../src/engine/engine.js';
import { Refusal } from '../../../src/errors.js';
import type { Pi05Error, RunCode } from '../../../src/errors.js';
import type { ActionChunk, Command, Observation } from '../../../src/frame/frame.js';
import { Pipeline } from '../../../src/pipeline/pipeline.js';
import type { ChunkTiming, PolicyLike } from '../../../src/pipeline/pipeline.js';
import { actionJoint, image, joints, MS, robot, SECOND, T0 } from './robot.js';

const TICK = 100n * MS;
const ROWS = 6;

interface Settle {
  readonly resolve: (result: InferResult) => void;
  readonly reject: (error: Error) => void;
}

/** An engine whose answers come when the test says so. */
class HandEngine implements Engine {
  readonly info = {} as ModelInfo;
  readonly requests: InferRequest[] = [];
  #settle: Settle | undefined;

  infer(request: InferRequest): Promise<InferResult> {
    if (this.#settle) throw new Error('two inferences at once');
    this.requests.push(request);
    return new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  get busy(): boolean {
    return this.#settle !== undefined;
  }

  /** Every action is `value`, plus the step's number. */
  async answer(value: number): Promise<void> {
    const settle = this.#take();
    settle.resolve({ actions: Float32Array.from({ length: ROWS }, (_, i) => value + i), milliseconds: 12, trace: new Map() });
    await turns();
  }

  async fail(message: string): Promise<void> {
    this.#take().reject(new Error(message));
    await turns();
  }

  async close(): Promise<void> {}

  #take(): Settle {
    const settle = this.#settle;
    if (!settle) throw new Error('no inference in flight');
    this.#settle = undefined;
    return settle;
  }
}

/** Lets every promise that can go on go on. */
function turns(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One action dimension for both joints; the observation's stamp goes along as noise. */
class PlainPolicy implements PolicyLike {
  refuse: Refusal | undefined;
  prepare({ views }: Observation): Pick<InferRequest, 'images' | 'tokens' | 'noise'> {
    if (this.refuse) throw this.refuse;
    return { images: views.map(({ frame }) => frame), tokens: Int32Array.of(2), noise: new Float32Array(1) };
  }
  finish(actions: Float32Array, { stamp }: Observation): ActionChunk {
    const values = Float64Array.from({ length: ROWS * 2 }, (_, i) => actions[Math.floor(i / 2)]!);
    return { stamp, joints: ['a', 'b'], rows: ROWS, values, period: 0.1 };
  }
}

const unhandled: unknown[] = [];
const onUnhandled = (error: unknown): void => void unhandled.push(error);
beforeEach(() => void process.on('unhandledRejection', onUnhandled));
afterEach(async () => {
  await turns();
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled).toEqual([]);
});

/** A pipeline at work and everything that came out of it, in order. */
class Bench {
  readonly engine = new HandEngine();
  readonly policy = new PlainPolicy();
  readonly log: string[] = [];
  readonly chunks: (ActionChunk & ChunkTiming)[] = [];
  readonly commands: Command[] = [];
  readonly refusals: Refusal[] = [];
  readonly faults: Pi05Error<RunCode>[] = [];
  readonly pipeline: Pipeline;

  constructor(config: PolicyConfig = robot(), clock?: () => bigint) {
    const sink = {
      chunk: (chunk: ActionChunk, timing: ChunkTiming) => {
        this.chunks.push({ ...chunk, ...timing });
        this.log.push('chunk');
      },
      command: (command: Command) => {
        this.commands.push(command);
        this.log.push(`${command.reason} ${command.values[0]}`);
      },
      refusal: (refusal: Refusal) => {
        this.refusals.push(refusal);
        this.log.push(refusal.code);
      },
      fault: (fault: Pi05Error<RunCode>) => {
        this.faults.push(fault);
        this.log.push(fault.code);
      },
    };
    this.pipeline = new Pipeline(config, this.policy, this.engine, sink, clock);
    this.pipeline.activate(T0);
  }

  offer(stamp: bigint, now = stamp): void {
    this.pipeline.offerImage('exterior', image(stamp, 1), now);
    this.pipeline.offerImage('wrist', image(stamp, 2), now);
    this.pipeline.offerJoints(joints(stamp), now);
  }

  /** What was said since the last call. */
  said(): string[] {
    return this.log.splice(0);
  }

  tick(now: bigint, lateness = 0n): string[] {
    this.pipeline.tick(now, lateness);
    return this.said();
  }
}

describe('from messages to commands', () => {
  test('an_inference_starts_with_the_message_that_completes_the_set_not_on_the_tick', async () => {
    const bench = new Bench();
    bench.pipeline.offerImage('exterior', image(T0, 1), T0);
    bench.pipeline.offerJoints(joints(T0), T0);
    expect(bench.engine.busy).toBe(false);
    bench.pipeline.offerImage('wrist', image(T0, 2), T0);
    expect(bench.engine.busy).toBe(true);
    expect(bench.engine.requests[0]?.images).toHaveLength(2);
    await bench.engine.answer(10);
    expect(bench.said()).toEqual(['chunk']);
    expect(bench.tick(T0 + TICK)).toEqual(['step 10']);
    expect(bench.tick(T0 + 2n * TICK)).toContain('step 11');
  });

  test('a_chunk_is_handed_on_once_with_its_times', async () => {
    const bench = new Bench();
    bench.offer(T0);
    bench.pipeline.offerJoints(joints(T0 + 30n * MS), T0 + 30n * MS);
    await bench.engine.answer(10);
    expect(bench.chunks).toHaveLength(1);
    expect(bench.chunks[0]).toMatchObject({ stamp: T0, rows: ROWS, joints: ['a', 'b'], inferenceMs: 12, latencyMs: 30 });
    expect([...bench.chunks[0]!.values.subarray(0, 4)]).toEqual([10, 10, 11, 11]);
  });

  test('latency_is_counted_on_the_clock_where_there_is_one', async () => {
    let now = T0;
    const bench = new Bench(robot(), () => now);
    bench.offer(T0);
    now = T0 + 45n * MS;
    await bench.engine.answer(10);
    expect(bench.chunks[0]?.latencyMs).toBe(45);
  });

  test('one_inference_is_in_flight_and_the_newest_observation_is_next', async () => {
    const bench = new Bench(robot({}, { replanSteps: 1 }));
    bench.offer(T0);
    for (let i = 1n; i <= 5n; i++) bench.offer(T0 + i * 10n * MS);
    expect(bench.engine.requests).toHaveLength(1);
    await bench.engine.answer(10);
    bench.tick(T0 + 60n * MS);
    expect(bench.engine.requests).toHaveLength(2);
    await bench.engine.answer(20);
    expect(bench.chunks.map(({ stamp }) => stamp)).toEqual([T0, T0 + 50n * MS]);
  });

  test('a_complete_set_is_used_as_soon_as_the_tick_wants_one', async () => {
    const bench = new Bench(robot({}, { mode: 'sync', replanSteps: 2 }));
    bench.offer(T0);
    await bench.engine.answer(10);
    bench.offer(T0 + 10n * MS);
    expect(bench.engine.busy).toBe(false);
    bench.tick(T0 + 20n * MS);
    expect(bench.engine.busy).toBe(false);
    bench.tick(T0 + 120n * MS);
    expect(bench.engine.busy).toBe(false);
    bench.offer(T0 + 130n * MS);
    expect(bench.engine.busy).toBe(true);
  });

  test('flow_steps_are_passed_on_only_where_configured', async () => {
    const [own, given] = [new Bench(), new Bench(robot({ flowSteps: 5 }))];
    for (const bench of [own, given]) bench.offer(T0);
    expect([own.engine.requests[0]!.steps, given.engine.requests[0]!.steps]).toEqual([undefined, 5]);
    for (const bench of [own, given]) await bench.engine.answer(0);
  });

  test('nothing_happens_while_inactive_but_the_prompt_is_kept', async () => {
    const bench = new Bench(robot({ prompt: '' }));
    bench.pipeline.deactivate(T0);
    bench.said();
    bench.offer(T0 + 1n);
    bench.pipeline.offerImage('wrist', image(T0, 1, { encoding: 'nv12' }), T0);
    bench.pipeline.tick(T0 + SECOND, 0n);
    bench.pipeline.setPrompt('go', T0 + SECOND);
    expect([bench.said(), bench.engine.busy]).toEqual([[], false]);
    bench.pipeline.activate(T0 + SECOND);
    bench.offer(T0 + SECOND);
    expect(bench.engine.busy).toBe(true);
    await bench.engine.answer(0);
  });
});

describe('refusals', () => {
  test('good_bad_good_recovers_at_once', async () => {
    const bench = new Bench(robot({}, { replanSteps: 1 }));
    bench.offer(T0);
    await bench.engine.answer(10);
    bench.tick(T0 + 10n * MS);
    bench.pipeline.offerImage('wrist', image(T0 + 20n * MS, 2, { step: 1 }), T0 + 20n * MS);
    expect(bench.said()).toEqual(['IMAGE_DATA']);
    bench.offer(T0 + 21n * MS);
    expect(bench.engine.busy).toBe(true);
    await bench.engine.answer(20);
    expect(bench.chunks.map(({ stamp }) => stamp)).toEqual([T0, T0 + 21n * MS]);
  });

  test('silence_is_reported_by_the_tick_after_the_age_and_never_stalls_the_ticks', async () => {
    const bench = new Bench();
    bench.offer(T0);
    await bench.engine.answer(10);
    bench.said();
    expect(bench.tick(T0 + 100n * MS)).toEqual(['step 10']);
    expect(bench.tick(T0 + 200n * MS)).toEqual(['step 11', 'STATE_STALE']);
    expect(bench.tick(T0 + 300n * MS)).toEqual(['step 12', 'CAMERA_STALE', 'CAMERA_STALE']);
    expect(bench.tick(T0 + 400n * MS)).toEqual(['step 13']);
  });

  test('what_was_refused_before_it_could_be_offered_is_counted_too', () => {
    const bench = new Bench();
    bench.pipeline.refuse(new Refusal('MESSAGE_DATA', 'Expected 4 bytes, received 3 from joint_states', 'joint_states'), T0);
    expect(bench.said()).toEqual(['MESSAGE_DATA']);
    expect(bench.pipeline.statistics.refusals).toEqual({ MESSAGE_DATA: 1 });
  });

  test('a_prompt_the_policy_refuses_is_tried_once_a_tick_and_said_once_a_second', async () => {
    const bench = new Bench();
    let prepared = 0;
    bench.policy.prepare = () => {
      prepared++;
      throw new Refusal('PROMPT_TOO_LONG', 'Expected at most 200 tokens, received 300', 'prompt');
    };
    for (let t = T0; t < T0 + 2n * SECOND; t += 10n * MS) {
      bench.offer(t);
      if ((t - T0) % TICK === 0n) bench.pipeline.tick(t, 0n);
    }
    expect(bench.refusals.map(({ code }) => code)).toEqual(['PROMPT_TOO_LONG', 'PROMPT_TOO_LONG']);
    expect(prepared).toBe(20);
    bench.policy.prepare = PlainPolicy.prototype.prepare;
    bench.pipeline.setPrompt('shorter', T0 + 2n * SECOND);
    expect(bench.engine.busy).toBe(true);
    await bench.engine.answer(0);
  });
});

describe('a new prompt', () => {
  test('ends_the_old_motion_and_drops_the_chunk_asked_for_before', async () => {
    const bench = new Bench(robot({}, { replanSteps: 1 }));
    bench.offer(T0);
    await bench.engine.answer(10);
    bench.tick(T0 + 10n * MS);
    bench.offer(T0 + 20n * MS);
    bench.pipeline.setPrompt('something else', T0 + 30n * MS);
    bench.said();
    expect(bench.tick(T0 + 40n * MS)).toEqual(['hold 10']);
    await bench.engine.answer(20);
    expect(bench.said()).toEqual([]);
    expect(bench.pipeline.statistics.outdated).toBe(1);
    bench.offer(T0 + 50n * MS);
    await bench.engine.answer(30);
    expect(bench.tick(T0 + 60n * MS)).toEqual(['chunk', 'step 30']);
  });

  test('the_same_again_changes_nothing', async () => {
    const bench = new Bench();
    bench.offer(T0);
    bench.pipeline.setPrompt('pick up the red block', T0);
    await bench.engine.answer(10);
    expect(bench.said()).toEqual(['chunk']);
  });
});

describe('deactivation', () => {
  test('sends_the_stop_action_once_and_last_and_drops_the_inference_in_flight', async () => {
    const bench = new Bench(robot({}, { replanSteps: 1 }));
    bench.offer(T0);
    await bench.engine.answer(10);
    bench.tick(T0 + 10n * MS);
    bench.offer(T0 + 20n * MS);
    expect(bench.engine.busy).toBe(true);
    bench.said();
    bench.pipeline.deactivate(T0 + 30n * MS);
    bench.pipeline.deactivate(T0 + 30n * MS);
    bench.pipeline.tick(T0 + 40n * MS, 0n);
    let idle = false;
    const waiting = bench.pipeline.idle().then(() => (idle = true));
    await turns();
    expect(idle).toBe(false);
    await bench.engine.answer(20);
    await waiting;
    expect(bench.said()).toEqual(['stop 0']);
  });

  test('reactivated_while_the_old_inference_runs_it_waits_for_it_and_starts_its_own', async () => {
    const bench = new Bench();
    bench.offer(T0);
    bench.pipeline.deactivate(T0);
    bench.pipeline.activate(T0 + 10n * MS);
    bench.offer(T0 + 10n * MS);
    expect(bench.engine.requests).toHaveLength(1);
    await bench.engine.answer(10);
    expect(bench.chunks).toHaveLength(0);
    expect(bench.engine.requests).toHaveLength(2);
    await bench.engine.answer(20);
    expect(bench.chunks.map(({ stamp }) => stamp)).toEqual([T0 + 10n * MS]);
  });
});

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
    const limited = { action: { joints: ['a', 'b'].map((name) => actionJoint(name, { maxVelocity: 1 })), bound: 'none' as const } };
    const bench = new Bench(robot(limited));
    bench.offer(T0);
    await bench.engine.answer(10);
    expect(bench.tick(T0 + 10n * MS)).toEqual(['chunk', 'hold 0', 'COMMAND_JUMP']);
    bench.offer(T0 + 20n * MS);
    await bench.engine.answer(0);
    expect(bench.tick(T0 + 30n * MS)).toEqual(['chunk', 'step 0']);
  });
});

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
      steps.push(...bench.commands.splice(0).map(({ reason, time, values }) => `${(time - T0) / TICK} ${reason} ${values[0]}`));
    }
    expect(steps).toEqual([
      '0 step 0', '1 step 1', '2 step 2', '3 step 30', '4 step 31', '5 step 32', '6 step 60', '7 step 61', '8 step 62',
    ]);
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
    ['an engine that is not finite', (bench) => (bench.engine.answer = ((answer) => () => answer.call(bench.engine, NaN))(bench.engine.answer))],
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

describe('time that jumps back', () => {
  test('starts_over_with_the_inputs', async () => {
    const bench = new Bench(robot({}, { replanSteps: 1 }));
    bench.offer(T0);
    await bench.engine.answer(10);
    bench.tick(T0);
    const again = T0 - 500n * SECOND;
    bench.offer(again);
    expect(bench.engine.requests).toHaveLength(2);
    await bench.engine.answer(20);
    expect(bench.said()).toEqual(['chunk']);
    expect(bench.tick(again + MS)).toEqual(['step 20']);
  });

  test('a_jitter_within_the_skew_does_not', async () => {
    const bench = new Bench();
    bench.offer(T0);
    bench.pipeline.offerJoints(joints(T0), T0 - 10n * MS);
    await bench.engine.answer(10);
    expect(bench.said()).toEqual(['chunk']);
  });
});

test('statistics_count_what_happened', async () => {
  const bench = new Bench(robot({}, { replanSteps: 1 }));
  for (let i = 0n; i < 3n; i++) {
    const now = T0 + i * TICK;
    bench.offer(now);
    bench.pipeline.tick(now, (i + 1n) * MS);
    await bench.engine.answer(Number(i));
  }
  bench.pipeline.offerJoints(joints(T0 + SECOND, { a: 1 }), T0 + 300n * MS);
  bench.pipeline.deactivate(T0 + 300n * MS);
  const { lastRefusal, ...counted } = bench.pipeline.statistics;
  expect(lastRefusal?.code).toBe('JOINT_MISSING');
  expect(counted).toEqual({
    active: false,
    observations: 3,
    chunks: 3,
    outdated: 0,
    commands: { step: 2, hold: 1, stop: 1 },
    refusals: { JOINT_MISSING: 1 },
    faults: {},
    lastFault: undefined,
    inferenceMs: { p50: 12, p95: 12, p99: 12 },
    latencyMs: { p50: 0, p95: 0, p99: 0 },
    tickLatenessMs: { p50: 2, p95: 3, p99: 3 },
  });
});

test('statistics_keep_to_the_most_recent_samples', () => {
  const bench = new Bench();
  for (let i = 0; i < 4096; i++) bench.pipeline.tick(T0, 1000n * MS);
  for (let i = 0; i < 4096; i++) bench.pipeline.tick(T0, 1n * MS);
  expect(bench.pipeline.statistics.tickLatenessMs).toEqual({ p50: 1, p95: 1, p99: 1 });
});
