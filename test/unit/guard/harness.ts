import type { PolicyConfig, SafetyConfig } from '../../../src/config/config.js';
import type { Command } from '../../../src/frame/frame.js';
import type { GuardActions } from '../../../src/guard/actions.js';
import { Guard, type GuardTime } from '../../../src/guard/guard.js';
import type { Measured } from '../../../src/guard/limit-check.js';
import type { GuardMessage, PolicyMessage } from '../../../src/guard/protocol.js';
import { actionJoint, MS, robot, SECOND, T0 } from '../pipeline/robot.js';

/** 10 Hz, a command time-out of 250 ms, latched after 1 s: joints `a` (position) and `b` (velocity). */
export function config(safety: Partial<SafetyConfig> = {}, changes: Partial<PolicyConfig> = {}): PolicyConfig {
  const base = robot({ action: { joints: [actionJoint('a'), actionJoint('b', { kind: 'velocity' })], bound: 'none' } });
  return { ...base, safety: { ...base.safety, ...safety }, ...changes };
}

export const PERIOD = 100n * MS;

/** Positions of this age, where the maximum age is that of `robot`. */
export function measured(positions: readonly number[], age = 0n): Measured {
  return { positions: Float64Array.from(positions), age, overdue: age - robot().state.maxAge };
}

/** A guard with its clocks. Every call is one event at the present time; `advance` and `tick` move the time. */
export class Run {
  readonly guard: Guard;
  readonly now: { steady: bigint; ros: bigint } = { steady: 5n * SECOND, ros: T0 };
  measured: Measured | undefined = measured([0.5, 0], 10n * MS);
  /** All commands that were published, oldest first. */
  readonly published: Command[] = [];
  readonly messages: GuardMessage[] = [];

  constructor(config: PolicyConfig, simulated = false) {
    this.guard = new Guard(config, simulated, this.now);
  }

  get last(): string {
    const command = this.published.at(-1);
    return command === undefined ? 'nothing' : `${command.reason} ${[...command.values].join(' ')}`;
  }

  take(actions: GuardActions): GuardActions {
    if (actions.command !== undefined) this.published.push(actions.command);
    this.messages.push(...actions.messages);
    return actions;
  }

  receive(message: Exclude<PolicyMessage, { type: 'attach' | 'detach' }>): GuardActions {
    return this.take(this.guard.receive(message, this.time, this.measured));
  }

  /** A command of the present time. @param age of its observation, ns. */
  command(values: readonly number[], age = 0n, reason: 'step' | 'hold' = 'step'): GuardActions {
    const { ros } = this.now;
    return this.receive({
      type: 'command',
      time: ros,
      reason,
      values: Float64Array.from(values),
      observation: ros - age,
      following: null,
    });
  }

  /** A hold without an observation. */
  hold(values: readonly number[]): GuardActions {
    const hold = { type: 'command', reason: 'hold', values: Float64Array.from(values) } as const;
    return this.receive({ ...hold, time: this.now.ros, observation: null, following: null });
  }

  check(): GuardActions {
    return this.take(this.guard.check(this.time, this.measured));
  }

  /** Both clocks advance. */
  advance(duration: bigint): void {
    this.now.steady += duration;
    this.now.ros += duration;
  }

  /** One period passes with a check at its end. */
  tick(): void {
    this.advance(PERIOD);
    this.check();
  }

  /** `count` ticks. */
  ticks(count: number): void {
    for (let i = 0; i < count; i++) this.tick();
  }

  get time(): GuardTime {
    return { ...this.now };
  }
}

/** An active guard that has passed one command: `a` at 0.5, `b` at 1. */
export function moving(config_ = config(), simulated = false): Run {
  const run = new Run(config_, simulated);
  run.receive({ type: 'activate' });
  run.advance(PERIOD);
  run.command([0.5, 1]);
  return run;
}

export const STOP = 'stop 0.5 0';
