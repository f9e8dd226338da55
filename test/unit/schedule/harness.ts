import type { ActionJoint, PolicyConfig, SafetyConfig, ScheduleConfig } from '../../../src/config/config.js';
import type { ActionChunk, Command, MeasuredPositions } from '../../../src/frame/frame.js';
import { Schedule } from '../../../src/schedule/schedule.js';
import type { TickResult } from '../../../src/schedule/schedule.js';
import { actionJoint, MS, robot, T0 } from '../pipeline/robot.js';

export const TICK = 100n * MS;

export function config(
  joints: readonly ActionJoint[],
  schedule: Partial<ScheduleConfig> = {},
  safety: Partial<SafetyConfig> = {},
): PolicyConfig {
  const { safety: defaults, ...rest } = robot({ action: { joints, bound: 'none' } }, schedule);
  return { ...rest, safety: { ...defaults, ...safety } };
}

/** A chunk of the observation at `stamp`, one array per step. */
export function chunk(stamp: bigint, steps: readonly (readonly number[])[], joints = ['a', 'b']): ActionChunk {
  return { stamp, joints, rows: steps.length, values: Float64Array.from(steps.flat()), period: 0.1 };
}

/** Steps of two equal joints: first, first + 1, … */
export function counting(stamp: bigint, first: number, rows = 6): ActionChunk {
  return chunk(
    stamp,
    Array.from({ length: rows }, (_, i) => [first + i, first + i]),
  );
}

/** An active schedule with its clock and its measured positions. */
export class Harness {
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

  /** What is measured now; undefined where that is not known. */
  get measurement(): MeasuredPositions | undefined {
    return this.measured && { stamp: this.now, positions: this.measured };
  }

  stop(): Command | undefined {
    return this.schedule.stop(this.now, this.measurement);
  }

  deactivate(): Command | undefined {
    return this.schedule.deactivate(this.now, this.measurement);
  }

  /** One tick; then the clock advances by one period. */
  tick(): TickResult {
    const step = this.schedule.tick(this.now, this.measurement);
    this.now += TICK;
    return step;
  }

  /** Reason and first joint's value of `count` ticks. */
  ticks(count: number): string[] {
    return Array.from({ length: count }, () => {
      const { command, fault } = this.tick();
      const result = command ? `${command.reason} ${command.values[0]}` : 'nothing';
      return fault ? `${result} ${fault.code}` : result;
    });
  }

  /** Requests an inference and accepts `newChunk` as its result at once. @returns the result of `accept`. */
  executeChunk(newChunk: ActionChunk): unknown {
    return this.schedule.accept(this.schedule.requestInference(this.now), newChunk, this.now);
  }
}

export const positions = [actionJoint('a'), actionJoint('b')];
export const velocities = [actionJoint('a', { kind: 'velocity' }), actionJoint('b', { kind: 'velocity' })];
