import { describe, expect, test } from '@jest/globals';
import type { ActionJoint, PolicyConfig, ScheduleConfig } from '../../../src/config/config.js';
import { Pi05Error } from '../../../src/errors.js';
import type { ActionChunk } from '../../../src/frame/frame.js';
import { LatencyEstimate } from '../../../src/schedule/latency.js';
import { Schedule } from '../../../src/schedule/schedule.js';
import type { Step } from '../../../src/schedule/schedule.js';
import { actionJoint, MS, random, robot, SECOND, T0 } from '../pipeline/robot.js';

const TICK = 100n * MS;

function config(joints: readonly ActionJoint[], schedule: Partial<ScheduleConfig> = {}): PolicyConfig {
  return robot({ action: { joints, bound: 'none' } }, schedule);
}

/** A chunk of the observation at `stamp`, one array per step. */
function chunk(stamp: bigint, steps: readonly (readonly number[])[], joints = ['a', 'b']): ActionChunk {
  return { stamp, joints, rows: steps.length, values: Float64Array.from(steps.flat()), period: 0.1 };
}

/** Steps of two equal joints: from, from + 1, … */
function counting(stamp: bigint, from: number, rows = 6): ActionChunk {
  return chunk(stamp, Array.from({ length: rows }, (_, i) => [from + i, from + i]));
}

/** A schedule at work: its clock, measured positions, and what it said. */
class Bench {
  readonly schedule: Schedule;
  now = T0;
  measured: Float64Array | undefined;
  readonly joints: readonly string[];

  constructor(config: PolicyConfig) {
    this.schedule = new Schedule(config);
    this.joints = config.action.joints.map(({ name }) => name);
    this.measured = new Float64Array(this.joints.length);
    this.schedule.activate();
  }

  /** One tick; then the clock goes on by one period. */
  tick(): Step {
    const step = this.schedule.next(this.now, this.measured);
    this.now += TICK;
    return step;
  }

  /** Reason and first joint's value of `count` ticks. */
  ticks(count: number): string[] {
    return Array.from({ length: count }, () => {
      const { command, fault } = this.tick();
      const said = command ? `${command.reason} ${command.values[0]}` : 'nothing';
      return fault ? `${said} ${fault.code}` : said;
    });
  }

  /** An observation now whose chunk arrives now. */
  give(made: ActionChunk): unknown {
    return this.schedule.accept(this.schedule.ask(this.now), made, this.now);
  }
}

const positions = [actionJoint('a'), actionJoint('b')];
const velocities = [actionJoint('a', { kind: 'velocity' }), actionJoint('b', { kind: 'velocity' })];

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
    expect(bench.ticks(4)).toEqual(['step 10', 'step 11', 'hold 11 COMMAND_STARVED', 'hold 11']);
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
    bench.schedule.abandon(ticket);
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
    expect(bench.ticks(4)).toEqual(['step 12', 'hold 12 COMMAND_STARVED', 'hold 12', 'hold 12']);
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

describe('starving', () => {
  test('steps_are_executed_while_they_remain_then_it_holds_and_says_so_once_an_episode', () => {
    const bench = new Bench(config(positions));
    bench.give(counting(T0, 10, 2));
    expect(bench.ticks(5)).toEqual(['step 10', 'step 11', 'hold 11 COMMAND_STARVED', 'hold 11', 'hold 11']);
    bench.give(counting(bench.now, 20, 1));
    expect(bench.ticks(3)).toEqual(['step 20', 'hold 20 COMMAND_STARVED', 'hold 20']);
  });

  test('velocities_stop_at_once_or_as_fast_as_they_may', () => {
    const joints = [actionJoint('a', { kind: 'velocity', maxAcceleration: 4 }), actionJoint('b', { kind: 'velocity' })];
    const bench = new Bench(config(joints));
    bench.give(chunk(T0, [[0.4, 1], [0.8, 1]]));
    const values = Array.from({ length: 5 }, () => [...bench.tick().command!.values].map((v) => Number(v.toFixed(9))));
    expect(values).toEqual([[0.4, 1], [0.8, 1], [0.4, 0], [0, 0], [0, 0]]);
  });
});

describe('before the first chunk', () => {
  test('it_holds_where_the_robot_was_first_measured', () => {
    const bench = new Bench(config([actionJoint('a'), actionJoint('b', { kind: 'velocity' })]));
    bench.measured = Float64Array.of(0.3, NaN);
    expect(bench.tick().command).toMatchObject({ time: T0, reason: 'hold', values: Float64Array.of(0.3, 0) });
    bench.measured = Float64Array.of(0.2, NaN);
    expect(bench.ticks(1)).toEqual(['hold 0.3']);
  });

  test('nothing_is_sent_while_nothing_is_measured', () => {
    const bench = new Bench(config(positions));
    bench.measured = undefined;
    bench.give(counting(T0, 0));
    expect(bench.ticks(2)).toEqual(['nothing', 'nothing']);
    bench.measured = Float64Array.of(0, 0);
    expect(bench.ticks(1)).toEqual(['step 0']);
  });

  test('without_joint_space_state_nothing_is_held_but_steps_go_out', () => {
    const bench = new Bench(config(positions));
    bench.measured = Float64Array.of(NaN, NaN);
    expect(bench.ticks(1)).toEqual(['nothing']);
    bench.give(counting(T0, 7, 1));
    expect(bench.ticks(2)).toEqual(['step 7', 'hold 7 COMMAND_STARVED']);
  });
});

describe('the first command', () => {
  const limited = [actionJoint('a', { maxVelocity: 2 }), actionJoint('b', { maxVelocity: 2 })];

  test('within_one_periods_reach_of_the_measured_state_it_is_sent', () => {
    const bench = new Bench(config(limited));
    bench.measured = Float64Array.of(1, 1);
    bench.give(chunk(T0, [[1.2, 0.8], [1.4, 0.6]]));
    expect(bench.ticks(2)).toEqual(['step 1.2', 'step 1.4']);
  });

  test('a_jump_is_refused_naming_the_joint_and_the_robot_holds_where_it_is', () => {
    const bench = new Bench(config(limited));
    bench.measured = Float64Array.of(1, 1);
    bench.give(chunk(T0, [[1.1, 0.7], [1.1, 0.7]]));
    const { command, fault } = bench.tick();
    expect(command).toMatchObject({ reason: 'hold', values: Float64Array.of(1, 1) });
    expect(String(fault)).toBe('COMMAND_JUMP: Expected a first command within 0.2 of 1 for b, received 0.7; holding');
    expect(bench.schedule.wantsInference).toBe(true);
    expect(bench.ticks(1)).toEqual(['hold 1']);
    bench.give(chunk(bench.now, [[1.1, 0.9]]));
    expect(bench.ticks(1)).toEqual(['step 1.1']);
  });

  test('after_it_a_far_step_is_approached_at_the_limit', () => {
    const bench = new Bench(config(limited));
    bench.give(chunk(T0, [[0.1, 0], [5, 0], [5, 0]]));
    expect(bench.ticks(3).map((s) => Number(s.split(' ')[1]).toFixed(6))).toEqual(['0.100000', '0.300000', '0.500000']);
  });

  test('a_gripper_may_start_from_anywhere', () => {
    const bench = new Bench(config([actionJoint('a', { maxVelocity: 0.1, gripper: true })]));
    bench.measured = Float64Array.of(0.04);
    bench.give(chunk(T0, [[0], [0]], ['a']));
    expect(bench.ticks(1)).toEqual(['step 0.03']);
  });

  test('it_is_judged_anew_after_every_activation', () => {
    const bench = new Bench(config(limited));
    bench.give(chunk(T0, [[0.1, 0]]));
    bench.ticks(1);
    bench.schedule.deactivate(bench.now, bench.measured);
    bench.schedule.activate();
    bench.give(chunk(bench.now, [[0.5, 0]]));
    expect(bench.ticks(1)).toEqual(['hold 0 COMMAND_JUMP']);
  });

  test('velocities_start_from_rest', () => {
    const bench = new Bench(config([actionJoint('a', { kind: 'velocity', maxAcceleration: 10 })]));
    bench.give(chunk(T0, [[3], [3]], ['a']));
    expect(bench.ticks(2)).toEqual(['step 1', 'step 2']);
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
    bench.give(chunk(T0, [[0.5, 0], [0.5, 0]]));
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
    bench.schedule.abandon(old);
    expect(bench.schedule.wantsInference).toBe(false);
    expect(bench.schedule.accept(current, counting(T0, 20), T0)).toBe('accepted');
  });
});

describe('the engine', () => {
  test('a_chunk_that_is_not_finite_is_refused_with_its_joint_and_step_and_never_executed', () => {
    const bench = new Bench(config(positions));
    bench.give(counting(T0, 10));
    const verdict = bench.give(chunk(T0, [[1, 1], [1, NaN]]));
    expect(verdict).toBeInstanceOf(Pi05Error);
    expect(String(verdict)).toBe('CHUNK_NOT_FINITE: Expected finite actions, received NaN for b in step 1');
    expect(bench.ticks(1)).toEqual(['step 10']);
  });

  test('an_answer_overdue_is_reported_once_and_dropped_when_it_comes', () => {
    const bench = new Bench(config(positions, { engineTimeout: 250n * MS }));
    const ticket = bench.schedule.ask(T0);
    expect(bench.schedule.watch(T0 + 250n * MS)).toBeUndefined();
    expect(String(bench.schedule.watch(T0 + 300n * MS))).toBe(
      'ENGINE_LATE: Expected a chunk within 0.25 s, received none in 0.300 s; it is dropped when it comes',
    );
    expect(bench.schedule.watch(T0 + 400n * MS)).toBeUndefined();
    expect(bench.schedule.accept(ticket, counting(T0, 10), T0 + 400n * MS)).toBe('outdated');
    expect(bench.schedule.wantsInference).toBe(true);
    bench.schedule.ask(T0 + SECOND);
    expect(bench.schedule.watch(T0 + 2n * SECOND)?.code).toBe('ENGINE_LATE');
  });
});

describe('the stop action', () => {
  const arm = [
    actionJoint('a'),
    actionJoint('v', { kind: 'velocity' }),
    actionJoint('g', { gripper: true }),
  ];
  const moved = (): Bench => {
    const bench = new Bench(config(arm));
    bench.measured = Float64Array.of(1, NaN, 0.04);
    bench.give(chunk(T0, [[2, 3, 0.01], [2, 3, 0]], ['a', 'v', 'g']));
    bench.ticks(1);
    bench.measured = Float64Array.of(1.5, NaN, 0.02);
    return bench;
  };

  test('holds_measured_positions_zeroes_velocities_and_leaves_the_gripper_as_commanded', () => {
    const { schedule, now, measured } = moved();
    expect(schedule.deactivate(now, measured)).toEqual({ time: now, reason: 'stop', values: Float64Array.of(1.5, 0, 0.01) });
  });

  test('comes_exactly_once_and_nothing_after_it', () => {
    const bench = moved();
    expect(bench.schedule.stop(bench.now, bench.measured)).toBeDefined();
    expect(bench.schedule.stop(bench.now, bench.measured)).toBeUndefined();
    expect(bench.ticks(2)).toEqual(['nothing', 'nothing']);
    expect(bench.schedule.deactivate(bench.now, bench.measured)).toBeUndefined();
    expect(bench.schedule.deactivate(bench.now, bench.measured)).toBeUndefined();
    expect(bench.ticks(1)).toEqual(['nothing']);
    expect(bench.schedule.wantsInference).toBe(false);
  });

  test('a_gripper_never_commanded_stays_where_it_is_measured', () => {
    const bench = new Bench(config(arm));
    bench.measured = Float64Array.of(1, NaN, 0.03);
    expect(bench.schedule.deactivate(T0, bench.measured)?.values).toEqual(Float64Array.of(1, 0, 0.03));
  });

  test('without_a_measurement_positions_stay_as_commanded', () => {
    const bench = moved();
    expect(bench.schedule.deactivate(bench.now, undefined)?.values).toEqual(Float64Array.of(2, 0, 0.01));
  });

  test('a_robot_never_commanded_nor_measured_is_left_alone', () => {
    expect(new Bench(config(arm)).schedule.deactivate(T0, undefined)).toBeUndefined();
    expect(new Bench(config(velocities)).schedule.deactivate(T0, undefined)?.values).toEqual(Float64Array.of(0, 0));
  });

  test('a_new_chunk_ends_the_silence_after_a_stop', () => {
    const bench = moved();
    bench.schedule.stop(bench.now, bench.measured);
    bench.give(chunk(bench.now, [[1.6, 0, 0.01]], ['a', 'v', 'g']));
    expect(bench.ticks(1)).toEqual(['step 1.6']);
    expect(bench.schedule.deactivate(bench.now, bench.measured)?.reason).toBe('stop');
  });
});

test('whatever_chunks_come_no_command_exceeds_a_limit', () => {
  const next = random(11);
  const exceeded: string[] = [];
  let steps = 0;
  for (let round = 0; round < 60; round++) {
    const limits = { lower: -0.5, upper: 0.7, maxVelocity: 1 + next(), maxAcceleration: 5 + next() * 20 };
    const joints = [actionJoint('a', limits), actionJoint('b', { ...limits, kind: 'velocity' })];
    const bench = new Bench(config(joints, { mode: next() < 0.5 ? 'sync' : 'async', replanSteps: 1 + Math.floor(next() * 4) }));
    const position = [0, 0];
    const velocity = [0, 0];
    for (let tick = 0; tick < 100; tick++) {
      if (bench.schedule.wantsInference && next() < 0.7) {
        const wild = Array.from({ length: 5 }, () => [(next() - 0.5) * 4, (next() - 0.5) * 10]);
        bench.give(chunk(bench.now - BigInt(Math.floor(next() * 2e8)), [[position[0]!, 0], ...wild]));
      }
      if (next() < 0.02) bench.schedule.reset();
      const { reason, values } = bench.tick().command!;
      if (reason === 'step') steps++;
      // The robot follows: positions arrive, velocities are integrated.
      for (const j of [0, 1]) {
        const speed = j === 0 ? (values[0]! - position[0]!) / 0.1 : values[1]!;
        const change = Math.abs(speed - velocity[j]!) / 0.1;
        position[j] = j === 0 ? values[0]! : position[1]! + values[1]! * 0.1;
        velocity[j] = speed;
        if (!(Math.abs(speed) <= limits.maxVelocity + 1e-9)) exceeded.push(`velocity of ${j}`);
        if (!(change <= limits.maxAcceleration + 1e-6)) exceeded.push(`acceleration of ${j}`);
        if (!(position[j]! >= -0.5 - 1e-12 && position[j]! <= 0.7 + 1e-12)) exceeded.push(`position of ${j}`);
      }
      bench.measured = Float64Array.from(position);
    }
  }
  expect(exceeded).toEqual([]);
  expect(steps).toBeGreaterThan(2000);
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
