import { describe, expect, test } from '@jest/globals';
import type { ActionJoint, PolicyConfig, ScheduleConfig } from '../../../src/config/config.js';
import type { ActionChunk, Command } from '../../../src/frame/frame.js';
import { MODES } from '../../../src/schedule/modes/modes.js';
import { actionJoint, MS, random, robot, SAFETY } from '../pipeline/robot.js';
import { config, Harness, TICK } from './harness.js';

/** Joints `a` and `b` in one output that gets whole chunks. */
function chunkOutput(base: PolicyConfig): PolicyConfig {
  const joints = base.action.joints.map(({ name }) => name);
  const output = { name: 'arm', topic: 'arm', type: 'joint_trajectory_chunk', stamp: 'zero', joints } as const;
  return { ...base, outputs: [output] };
}

const LIMITS = { lower: -10, upper: 10, maxVelocity: 2, maxAcceleration: 10 };
const JOINTS = [actionJoint('a', LIMITS), actionJoint('b', LIMITS)];
const harness = (schedule: Partial<ScheduleConfig> = {}): Harness => new Harness(chunkOutput(config(JOINTS, schedule)));

const withLongGaps = (): Harness => {
  const schedule = { replanSteps: 2, maxChunkAge: 5_000n * MS };
  return new Harness(chunkOutput(config(JOINTS, schedule, { maxTickGap: 1_000n * MS })));
};

/** A chunk that moves both joints from `first` on by `step` per row. */
function ramp(stamp: bigint, first: number, step: number, rows: number): ActionChunk {
  const values = Float64Array.from({ length: rows * 2 }, (_, i) => first + Math.floor(i / 2) * step);
  return { stamp, joints: ['a', 'b'], rows, values, period: 0.1 };
}

/** What a tick sends: the positions of joint `a` in a trajectory, or none. */
function sent(command: Command | undefined): number[] | undefined {
  if (command?.following === undefined) return undefined;
  return [command.values, ...command.following].map((row) => Number(row[0]!.toFixed(6)));
}

describe('a trajectory', () => {
  test('is_sent_once_for_each_plan_and_ends_at_rest', () => {
    const arm = harness({ replanSteps: 3 });
    arm.executeChunk(ramp(arm.now, 0.05, 0.05, 4));
    expect(sent(arm.tick().command)).toEqual([0.05, 0.1, 0.15, 0.2]);
    expect([arm.tick(), arm.tick()].map(({ command }) => sent(command))).toEqual([undefined, undefined]);
    arm.executeChunk(ramp(arm.now, 0.2, 0.05, 4));
    expect(sent(arm.tick().command)).toEqual([0.2, 0.25, 0.3, 0.35]);
  });

  test('that_ends_in_motion_brakes_within_the_limits', () => {
    const arm = harness();
    arm.executeChunk(ramp(arm.now, 0.1, 0.2, 4));
    // At most 2 per second, and 10 per second squared: 0.2 per tick, which changes by 0.1.
    expect(sent(arm.tick().command)).toEqual([0.1, 0.3, 0.5, 0.7, 0.8]);
  });

  test('is_what_the_commands_of_the_later_ticks_are', () => {
    const arm = harness();
    arm.executeChunk(ramp(arm.now, 0.1, 0.3, 5));
    const { following } = arm.tick().command!;
    const later = following!.map(() => arm.tick().command!);
    expect(later.map(({ values }) => values)).toEqual(following);
    expect(later.every((command) => command.following === undefined)).toBe(true);
    expect(later.at(-1)!.reason).toBe('hold');
  });

  test('is_replaced_by_one_that_brakes_when_the_plan_is_dropped', () => {
    const arm = harness();
    arm.executeChunk(ramp(arm.now, 0.1, 0.2, 6));
    arm.ticks(3);
    arm.schedule.reset();
    const { command } = arm.tick();
    expect([command!.reason, sent(command)]).toEqual(['hold', [0.6]]);
    expect(sent(arm.tick().command)).toBeUndefined();
  });

  test('has_no_step_of_an_observation_that_will_be_too_old', () => {
    const arm = harness({ maxChunkAge: 300n * MS });
    arm.executeChunk(ramp(arm.now, 0.05, 0.05, 8));
    arm.now += 50n * MS;
    expect(sent(arm.tick().command)).toEqual([0.05, 0.1, 0.15]);
    expect(arm.ticks(3).map((tick) => tick.split(' ')[0])).toEqual(['step', 'step', 'hold']);
  });

  test('has_the_steps_that_mode_sync_executes', () => {
    const arm = harness({ mode: 'sync', replanSteps: 2 });
    arm.executeChunk(ramp(arm.now, 0.05, 0.05, 8));
    expect(sent(arm.tick().command)).toEqual([0.05, 0.1]);
  });

  test('is_sent_at_each_tick_in_lock_step', () => {
    const arm = harness({ lockstep: true });
    arm.executeChunk(ramp(arm.now, 0.05, 0.05, 3));
    const all = [arm.tick(), arm.tick(), arm.tick(), arm.tick()].map(({ command }) => sent(command));
    expect(all).toEqual([[0.05, 0.1, 0.15], [0.1, 0.15], [0.15], [0.15]]);
  });

  test('is_sent_again_after_a_stop_and_the_stop_action_has_none', () => {
    const arm = harness();
    arm.executeChunk(ramp(arm.now, 0.05, 0.05, 3));
    arm.tick();
    expect(arm.stop()!.following).toBeUndefined();
    arm.executeChunk(ramp(arm.now + 1n, 0, 0, 3));
    expect(sent(arm.tick().command)).toEqual([0, 0, 0]);
  });

  test('that_goes_on_while_ticks_are_skipped_is_continued_from_where_the_robot_is', () => {
    const arm = withLongGaps();
    arm.executeChunk(ramp(arm.now, 0.05, 0.05, 10));
    const [, ...rows] = sent(arm.tick().command)!;
    // Two ticks do not come. The controller executes their rows, and the next one comes 30 ms late.
    arm.now += 2n * TICK + 30n * MS;
    const skipped = arm.schedule.skippedTicks(arm.now);
    expect(skipped).toEqual([arm.now - 230n * MS, arm.now - 130n * MS]);
    const commands = [...skipped, arm.now].map((now) =>
      arm.schedule.tick(now, arm.measurement, now === arm.now ? 30n * MS : 0n),
    );
    expect(commands.map(({ command }) => Number(command!.values[0]!.toFixed(6)))).toEqual(rows.slice(0, 3));
    expect(commands.every(({ command }) => sent(command) === undefined)).toBe(true);
    expect(arm.schedule.skippedTicks(arm.now + 160n * MS)).toEqual([]);
    arm.now += 70n * MS;
    arm.executeChunk(ramp(arm.now, 0.25, 0.05, 10));
    expect(sent(arm.tick().command)![0]).toBe(0.25);
  });

  test('is_not_caught_up_with_after_the_longest_gap_which_stops_the_robot', () => {
    const arm = withLongGaps();
    arm.executeChunk(ramp(arm.now, 0.05, 0.05, 10));
    arm.tick();
    arm.now += 400n * MS;
    expect(arm.schedule.skippedTicks(arm.now)).toEqual([]);
    expect(arm.tick().fault?.code).toBe('TICK_GAP');
    expect(arm.schedule.skippedTicks(arm.now)).toEqual([]);
  });

  test('is_sent_only_where_an_output_is_of_its_type', () => {
    const arm = new Harness(config(JOINTS));
    arm.executeChunk(ramp(arm.now, 0.05, 0.05, 3));
    expect(arm.tick().command!.following).toBeUndefined();
    arm.now += 2n * TICK;
    expect(arm.schedule.skippedTicks(arm.now)).toEqual([]);
  });
});

/** A controller that executes trajectories by itself, one row per tick, and checks what it is asked to do. */
class Controller {
  #rows: readonly Float64Array[] = [];
  #velocities: Float64Array;
  readonly problems: string[] = [];
  sent = 0;

  constructor(
    private readonly joints: readonly ActionJoint[],
    readonly position: Float64Array,
    private readonly period: number,
  ) {
    this.#velocities = new Float64Array(joints.length);
  }

  /** @returns the positions after one period. */
  tick(command: Command | undefined): Float64Array {
    if (command?.reason === 'stop') {
      this.#rows = [];
      this.#velocities.fill(0);
      this.position.set(command.values);
    } else if (command?.following !== undefined) {
      this.sent++;
      this.#rows = [command.values, ...command.following];
      this.#checkLimits();
    }
    const row = this.#rows[0];
    if (row !== undefined) {
      this.#velocities = row.map((value, j) => (value - this.position[j]!) / this.period);
      this.position.set(row);
      if (this.#rows.length > 1) this.#rows = this.#rows.slice(1);
    }
    return this.position;
  }

  /** From where the joints are, to the end of the trajectory and to rest after it. */
  #checkLimits(): void {
    const rows = [...this.#rows, this.#rows.at(-1)!];
    let [from, before] = [this.position, this.#velocities];
    for (const [index, row] of rows.entries()) {
      const velocities = row.map((value, j) => (value - from[j]!) / this.period);
      for (const [j, { lower, upper, maxVelocity, maxAcceleration }] of this.joints.entries()) {
        const [value, velocity] = [row[j]!, velocities[j]!];
        const report = (what: string): unknown => this.problems.push(`${what} in row ${index} of ${rows.length}`);
        if (value > Math.max(upper, from[j]!) + 1e-9 || value < Math.min(lower, from[j]!) - 1e-9) report('position');
        if (Math.abs(velocity) > maxVelocity + 1e-9) report('velocity');
        if (Math.abs(velocity - before[j]!) > maxAcceleration * this.period + 1e-6) report('acceleration');
      }
      [from, before] = [row, velocities];
    }
  }
}

test.each(Object.keys(MODES) as ScheduleConfig['mode'][])(
  'in_mode_%s_a_controller_that_executes_random_trajectories_follows_the_commands_and_breaks_no_limit',
  (mode) => {
    const problems: string[] = [];
    let [sentTrajectories, differences, ticks] = [0, 0, 0];
    for (let seed = 0; seed < 60; seed++) {
      const next = random(seed);
      const limits = (): Partial<ActionJoint> => ({
        lower: -0.5 - next(),
        upper: 0.5 + next(),
        maxVelocity: 0.2 + next() * 2,
        maxAcceleration: 1 + next() * 20,
        maxFollowingError: Infinity,
      });
      const joints = [actionJoint('a', limits()), actionJoint('b', limits())];
      const base = robot(
        { action: { joints, bound: 'none' }, safety: { ...SAFETY, hold: 'stiff', holdBeforePlan: next() < 0.5 } },
        { mode, replanSteps: 1 + Math.floor(next() * 6), maxChunkAge: next() < 0.5 ? 400n * MS : undefined },
      );
      const arm = new Harness(chunkOutput(base));
      arm.measured = Float64Array.from(joints, () => (next() - 0.5) * 0.8);
      const controller = new Controller(joints, arm.measured, 0.1);
      for (let tick = 0; tick < 300; tick++) {
        if (next() < 0.02) arm.schedule.reset();
        if (next() < 0.01) controller.tick(arm.stop());
        if (arm.schedule.wantsInference && next() < 0.6) {
          const rows = 2 + Math.floor(next() * 9);
          const start = arm.measured;
          const values = Float64Array.from({ length: rows * 2 }, (_, i) =>
            i < 4 ? start[i % 2]! : start[i % 2]! + (next() - 0.5) * 3,
          );
          const stamp = arm.now - BigInt(Math.floor(next() * 300)) * MS;
          arm.executeChunk({ stamp, joints: ['a', 'b'], rows, values, period: 0.1 });
        }
        const { command } = arm.tick();
        const position = controller.tick(command);
        ticks++;
        if (command !== undefined && position.some((value, j) => value !== command.values[j])) differences++;
      }
      problems.push(...controller.problems.map((problem) => `seed ${seed}: ${problem}`));
      sentTrajectories += controller.sent;
    }
    expect(problems.slice(0, 10)).toEqual([]);
    expect(differences).toBe(0);
    expect(sentTrajectories).toBeGreaterThan(ticks / 50);
    expect(sentTrajectories).toBeLessThan(ticks);
  },
);
