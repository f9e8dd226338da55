import { expect, test } from '@jest/globals';
import type { ActionJoint, PolicyConfig } from '../../../src/config/config.js';
import type { Command } from '../../../src/frame/frame.js';
import type { GuardActions } from '../../../src/guard/actions.js';
import { Guard } from '../../../src/guard/guard.js';
import type { Measured } from '../../../src/guard/limit-check.js';
import { actionJoint, MS, random, SECOND, T0 } from '../pipeline/robot.js';
import { config, measured } from './harness.js';

const LIMITS = { lower: -1, upper: 1, maxVelocity: 2, maxAcceleration: 8 };
const JOINTS: readonly ActionJoint[] = [
  actionJoint('position', LIMITS),
  actionJoint('velocity', { ...LIMITS, kind: 'velocity' }),
  actionJoint('integrated', { ...LIMITS, kind: 'velocity', integrated: true }),
];
const [P, V, I] = [0, 1, 2];
const PERIOD = 0.1;
const CONFIG: PolicyConfig = config(
  { heartbeatTopic: '/alive', latch: ['DEVICE_LOST'] },
  { action: { joints: JOINTS, bound: 'none' } },
);

/**
 * A policy process that does anything: right and wrong commands, delays, bursts, silence, disconnections, stops and restarts; a
 * guard that is paused; and a robot that follows every command exactly. Checks every command that the guard publishes.
 */
class World {
  readonly guard: Guard;
  readonly #random: () => number;
  steady = SECOND;
  ros = T0;
  /** True positions, and velocities where velocities are sent. */
  readonly #positions = [0, 0, 0];
  #velocity = 0;
  /** Positions of the last 200 ms, oldest first. */
  #history: { readonly steady: bigint; readonly positions: Float64Array }[] = [];
  #published: Command | undefined;
  /** Commands since the last stop. */
  #sinceStop = 0;
  #lastVelocities = [NaN, 0, NaN];
  /** Activated since the last command. */
  #activated = false;
  /** ROS time of the last stop or resume. */
  #stoppedAt = 0n;
  /** What the policy wants to send next. */
  #observation = T0;
  readonly seen = new Map<string, number>();

  constructor(seed: number) {
    this.#random = random(seed);
    this.guard = new Guard(CONFIG, false, { steady: this.steady, ros: this.ros });
  }

  /** One random event. */
  event(): void {
    const { guard } = this;
    const chance = this.#random();
    const steps = Math.floor(this.#random() * 3);
    if (chance < 0.6) {
      this.#advance(95n * MS + BigInt(steps) * 5n * MS);
      guard.heartbeat(this.#now);
      this.#apply('tick', () => guard.receive({ type: 'tick' }, this.#now, this.#measured()));
      if (this.#random() < 0.95) this.#command();
    } else if (chance < 0.9) {
      this.#advance(BigInt(Math.floor(this.#random() * 40)) * MS);
      this.#apply('check', () => guard.check(this.#now, this.#measured()));
    } else if (chance < 0.93) {
      this.#command();
    } else if (chance < 0.95) {
      // A pause of the policy, with checks of the guard, or one of the guard, without.
      const pause = BigInt(Math.floor(this.#random() * 30)) * 100n * MS;
      if (this.#random() < 0.3) this.#pauseGuard(pause);
      else {
        for (let waited = 0n; waited < pause; waited += 50n * MS) {
          this.#advance(50n * MS);
          this.#apply('check', () => guard.check(this.#now, this.#measured()));
        }
      }
    } else this.#rareEvent();
  }

  /** Nobody limits the robot meanwhile: afterwards it is moved back by hand. */
  #pauseGuard(duration: bigint): void {
    this.steady += duration;
    this.ros += duration;
    this.#positions[V] = 0;
    this.#history = [];
  }

  #rareEvent(): void {
    const { guard } = this;
    const measured = this.#measured();
    const chance = this.#random();
    const cause = { code: 'POLICY_LOST', message: 'lost' };
    if (chance < 0.4) {
      const success = guard.state === 'latched';
      this.#apply('resume', () => guard.resume(this.#now, measured));
      if (success && guard.state !== 'latched') {
        this.#stoppedAt = this.ros;
        this.#activated = false;
      }
    } else if (chance < 0.75) {
      this.#apply('activate', () => guard.receive({ type: 'activate' }, this.#now, measured));
      this.#activated = true;
    } else if (chance < 0.8)
      this.#apply('deactivate', () => guard.receive({ type: 'deactivate' }, this.#now, measured));
    else if (chance < 0.85) {
      const code = this.#random() < 0.5 ? 'ENGINE_FAILED' : 'DEVICE_LOST';
      this.#apply('stop', () => guard.receive({ type: 'stop', code, message: 'm' }, this.#now, measured));
    } else if (chance < 0.9) {
      const orderly = this.#random() < 0.5;
      this.#apply('disconnect', () => guard.disconnect(orderly, cause, this.#now, measured));
    } else if (chance < 0.95) this.#apply('stop', () => guard.emergencyStop('~/stop', this.#now, measured));
    // The wall clock is corrected.
    else {
      this.ros += BigInt(Math.floor(this.#random() * 200) - 100) * MS;
      // After a step back no stop lies in the future.
      if (this.#stoppedAt > this.ros) this.#stoppedAt = this.ros;
    }
  }

  /** Sends a command that continues the motion, or a wrong one. */
  #command(): void {
    if (this.#random() < 0.7) this.#observation = this.ros - BigInt(Math.floor(this.#random() * 100)) * MS;
    const wrong = this.#random() < 0.05;
    const last = this.#published?.values ?? Float64Array.of(0, 0, 0);
    const change = (): number => (this.#random() - 0.5) * (wrong ? 8 : 1.2);
    const velocity = (j: number): number => {
      const now = this.#sinceStop === 0 ? 0 : this.#lastVelocities[j]!;
      return (Number.isNaN(now) ? 0 : now * 0.9) + change();
    };
    const start = (j: number): number => (this.#sinceStop === 0 ? this.#positions[j]! : last[j]!);
    const values = Float64Array.of(start(P) + velocity(P) * PERIOD, velocity(V), start(I) + velocity(I) * PERIOD);
    if (wrong && this.#random() < 0.2) values[Math.floor(this.#random() * 3)] = NaN;
    const observation = this.#random() < 0.05 ? null : this.#observation;
    const reason = this.#random() < 0.1 ? 'hold' : 'step';
    const message = { type: 'command', time: this.ros, reason, values, observation, following: null } as const;
    this.#apply('command', () => this.guard.receive(message, this.#now, this.#measured()), observation);
  }

  get #now(): { steady: bigint; ros: bigint } {
    return { steady: this.steady, ros: this.ros };
  }

  #measured(): Measured | undefined {
    if (this.#random() < 0.02) return undefined;
    const index = Math.floor(this.#random() * this.#history.length);
    const entry = this.#history[index];
    return entry && measured([...entry.positions], this.steady - entry.steady);
  }

  #advance(duration: bigint): void {
    const seconds = Number(duration) / 1e9;
    this.steady += duration;
    this.ros += duration;
    this.#positions[V]! += this.#velocity * seconds;
    // Two periods, the longest time between two checks, and the tolerance of the measurement.
    const allowed = (2 * PERIOD + 0.105) * LIMITS.maxVelocity + 0.002;
    const position = this.#positions[V]!;
    ensure(Math.abs(position) <= LIMITS.upper + allowed, () => `the joint is at ${position}`);
    this.#history.push({ steady: this.steady, positions: Float64Array.from(this.#positions) });
    this.#history = this.#history.filter(({ steady }) => this.steady - steady <= 200n * MS);
  }

  /** @param observation of the command that is sent. */
  #apply(what: string, event: () => GuardActions, observation: bigint | null = null): void {
    const before = this.guard.state;
    const { command, messages } = event();
    const { state } = this.guard;
    for (const { type } of messages) this.#count(type);
    if (state !== before) this.#count(`${before} to ${state}`);
    ensure(before !== 'latched' || state === 'latched' || what === 'resume', () => `${what} ends the latch`);
    if (this.guard.cause !== undefined) this.#count(this.guard.cause.code);
    if (command === undefined) return;
    if (command.reason === 'stop') this.#checkStop(command, what);
    else {
      ensure(
        before !== 'latched' && state === 'moving' && what === 'command',
        () => `a command passes: ${before}, ${what}`,
      );
      this.#checkCommand(command, observation);
    }
    this.#published = command;
    for (const j of [P, I]) this.#positions[j] = command.values[j]!;
    this.#velocity = command.values[V]!;
  }

  #checkStop(command: Command, what: string): void {
    ensure(command.values[V] === 0, () => `stop action with a velocity of ${command.values[V]}`);
    const repeated = this.#published?.reason === 'stop' && what !== 'stop';
    const same = command.values.every((value, j) => value === this.#published?.values[j]);
    if (repeated) ensure(same, () => 'the stop action is repeated with other values');
    else this.#stoppedAt = this.ros;
    this.#sinceStop = 0;
    if (!repeated) this.#activated = false;
    this.#lastVelocities = [NaN, 0, NaN];
    this.#count('stop action');
  }

  #checkCommand({ values, reason }: Command, observation: bigint | null): void {
    const fresh = observation !== null && observation > this.#stoppedAt;
    const mayHold = reason === 'hold' && (this.#published?.reason !== 'stop' || this.#activated);
    ensure(fresh || mayHold, () => `a command from ${observation} follows the stop at ${this.#stoppedAt}`);
    const { upper, maxVelocity, maxAcceleration } = LIMITS;
    const margin = 1e-6;
    const velocities = [...values];
    for (const j of [P, I]) {
      const value = values[j]!;
      ensure(Math.abs(value) <= upper + margin, () => `position ${value}`);
      velocities[j] = this.#sinceStop === 0 ? NaN : (value - this.#published!.values[j]!) / PERIOD;
    }
    for (const [j, velocity] of velocities.entries()) {
      if (Number.isNaN(velocity)) continue;
      ensure(Math.abs(velocity) <= maxVelocity + margin, () => `velocity ${velocity}`);
      const last = this.#lastVelocities[j]!;
      const brakes = j !== P && velocity * last >= 0 && Math.abs(velocity) <= Math.abs(last);
      if (Number.isNaN(last) || brakes) continue;
      const change = Math.abs(velocity - last);
      ensure(change <= maxAcceleration * PERIOD + margin, () => `velocity ${velocity} after ${last}`);
    }
    this.#activated = false;
    this.#sinceStop++;
    this.#lastVelocities = velocities;
    this.#count('command passed');
    if (this.#sinceStop > 20) this.#count('20 commands in a row');
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}

function ensure(condition: boolean, message: () => string): void {
  if (!condition) throw new Error(message());
}

test('no_limit_is_broken_nothing_follows_a_stop_and_only_resume_ends_a_latch_whatever_the_policy_does', () => {
  const seen = new Map<string, number>();
  for (let seed = 0; seed < 100; seed++) {
    const world = new World(seed);
    for (let i = 0; i < 1000; i++) world.event();
    for (const [what, count] of world.seen) seen.set(what, (seen.get(what) ?? 0) + count);
  }
  // The random events reach every state and every cause.
  const expected = [
    ...['command passed', '20 commands in a row', 'stop action', 'stopped', 'latched', 'released'],
    ...['COMMAND_LIMIT', 'COMMAND_TIMEOUT', 'POLICY_SILENT', 'POLICY_LOST', 'GUARD_PAUSED', 'EMERGENCY_STOP'],
    ...['HEARTBEAT_LOST', 'ENGINE_FAILED', 'DEVICE_LOST'],
    ...['stopped to moving', 'moving to stopped', 'moving to latched', 'latched to stopped', 'moving to inactive'],
  ];
  expect(expected.filter((what) => (seen.get(what) ?? 0) < 20)).toEqual([]);
});
