import { expect, test } from '@jest/globals';
import {
  commandQuantity,
  type ActionJoint,
  type PolicyConfig,
  type ScheduleConfig,
} from '../../../src/config/config.js';
import type { ActionChunk, Command, MeasuredPositions } from '../../../src/frame/frame.js';
import { MODES } from '../../../src/schedule/modes/modes.js';
import { Schedule } from '../../../src/schedule/schedule.js';
import { toNanoseconds, toSeconds } from '../../../src/time.js';
import { actionJoint, MS, random, robot, SAFETY, T0 } from '../pipeline/robot.js';

const TICKS_PER_MODE = 250_000;
const TICKS_PER_ROUND = 1000;
const RATES = [10, 15, 50];
const MODE_NAMES = Object.keys(MODES) as ScheduleConfig['mode'][];
const NAMES = ['position', 'velocity', 'integrated', 'gripper'];

/** What was commanded last. */
interface Motion {
  readonly time?: bigint;
  readonly values: Float64Array;
  readonly velocities: Float64Array;
}

/** One random robot, its schedule and everything that goes wrong with them. */
class Round {
  readonly broken = new Map<string, string>();
  readonly counts = new Map<string, number>();
  readonly #next: () => number;
  readonly #joints: readonly ActionJoint[];
  readonly #schedule: Schedule;
  readonly #config: PolicyConfig;
  readonly #period: number;
  /** Of the control loop, ns. */
  readonly #delay: bigint;
  /** Whether measurements jump and joints are blocked. */
  readonly #disturbed: boolean;
  #now = T0;
  #lastTick: bigint | undefined;
  /** Position and velocity of each joint, and the commands that are not executed yet. */
  readonly #position: Float64Array;
  readonly #velocity: Float64Array;
  #pending: Command[] = [];
  #simulatedTo = T0;
  /** When the guard would stop the robot, without a new command. */
  #inForceUntil = T0;
  /** Recent positions, to measure late. */
  #past: MeasuredPositions[] = [];
  #lostUntil = 0n;
  #blockedUntil = 0n;
  /** The last command, its velocities, and where it may be: as the checks need them. */
  #previous: Motion | undefined;
  #stoppedAt: bigint | undefined;
  #newestAccepted: bigint | undefined;
  #acceptedSinceStop = false;

  constructor(seed: number, mode: ScheduleConfig['mode']) {
    const next = (this.#next = random(seed));
    const rate = RATES[Math.floor(next() * RATES.length)]!;
    const limits = (): Partial<ActionJoint> => ({
      lower: -0.2 - next(),
      upper: 0.2 + next(),
      maxVelocity: 0.2 + next() * 2,
      maxAcceleration: 1 + next() * 20,
      maxFollowingError: next() < 0.5 ? 0.2 : Infinity,
    });
    this.#joints = [
      actionJoint('position', limits()),
      actionJoint('velocity', { ...limits(), kind: 'velocity' }),
      actionJoint('integrated', { ...limits(), kind: 'velocity', integrated: true }),
      actionJoint('gripper', { ...limits(), gripper: true }),
    ];
    const base = robot(
      { controlRate: rate, action: { joints: this.#joints, bound: 'none' } },
      {
        mode,
        replanSteps: 1 + Math.floor(next() * 6),
        ensembleDecay: next(),
        delay: next() < 0.5 ? undefined : toNanoseconds(next()),
        blendIn: next() < 0.5 ? 0n : toNanoseconds(next()),
      },
    );
    this.#config = {
      ...base,
      safety: {
        ...SAFETY,
        maxTickGap: toNanoseconds(2 / rate + 0.05),
        hold: next() < 0.5 ? 'stiff' : 'compliant',
        holdBeforePlan: next() < 0.5,
      },
    };
    this.#period = 1 / rate;
    this.#delay = toNanoseconds(next() * this.#period);
    this.#disturbed = next() < 0.5;
    this.#schedule = new Schedule(this.#config, 3);
    this.#schedule.activate();
    this.#position = Float64Array.from(this.#joints, () => (next() - 0.5) * 0.3);
    this.#velocity = new Float64Array(this.#joints.length);
  }

  run(ticks: number): void {
    for (let tick = 0; tick < ticks; tick++) {
      this.#disturb();
      this.#infer();
      this.#simulate(this.#now);
      const measured = this.#measure();
      this.#tick(measured);
      // Ticks may be late, by up to a period; the next one is then early.
      const late = this.#next() < 0.1 ? toNanoseconds(this.#next() * this.#period) : 0n;
      this.#now += toNanoseconds(this.#period) + late;
    }
  }

  #disturb(): void {
    const next = this.#next;
    if (next() < 0.01) this.#schedule.reset();
    if (next() < 0.002) this.#lostUntil = this.#now + toNanoseconds(next() * 0.5);
    if (this.#disturbed && next() < 0.002) this.#blockedUntil = this.#now + toNanoseconds(next() * 2);
    // The process does not run, or the clock jumps ahead.
    if (next() < 0.002) this.#now += toNanoseconds(next() * 3);
    if (next() < 0.002) this.#check(this.#schedule.stop(this.#now, undefined));
    if (next() < 0.002) {
      this.#check(this.#schedule.deactivate(this.#now, this.#measure()));
      this.#schedule.activate();
      this.#previous = this.#stoppedAt = this.#newestAccepted = this.#lastTick = undefined;
    }
    if (next() < 0.002) this.#jumpBack();
  }

  #jumpBack(): void {
    const measured = this.#measure();
    this.#simulate(this.#now);
    this.#now -= 200n * MS + toNanoseconds(this.#next() * 5);
    this.#check(this.#schedule.restartClock(this.#now, measured));
    this.#pending = [];
    this.#velocity.fill(0);
    this.#simulatedTo = this.#inForceUntil = this.#now;
    this.#past = [];
    this.#lastTick = undefined;
    if (this.#stoppedAt !== undefined && this.#stoppedAt > this.#now) this.#stoppedAt = this.#now;
  }

  /** Sometimes a chunk arrives, of an observation that is up to 0.4 s old. */
  #infer(): void {
    const next = this.#next;
    if (!this.#schedule.wantsInference || next() < 0.4) return;
    const stamp = this.#now - toNanoseconds(next() ** 3 * 0.4);
    const rows = 3 + Math.floor(next() * 8);
    const spread = next() < 0.5 ? 10 : 0.5;
    const near = next() < 0.7;
    const values = Float64Array.from({ length: rows * this.#joints.length }, (_, i) => {
      const j = i % this.#joints.length;
      const offset = this.#joints[j]!.kind === 'velocity' ? 0 : this.#position[j]!;
      const inReach = near && i < this.#joints.length && this.#joints[j]!.kind === 'position';
      return offset + (inReach ? 0 : (next() - 0.5) * spread);
    });
    if (next() < 0.01) values[0] = NaN;
    const continuation = this.#schedule.continuation(stamp);
    if (continuation !== undefined) {
      const { chunk: previous, firstRow, conditioning } = continuation;
      this.#count(conditioning.mode);
      const left = previous.rows - firstRow;
      if (firstRow < 0 || left < 1 || conditioning.delay < 0 || conditioning.delay > left) this.#report('continuation');
      if (conditioning.mode === 'trained' && (conditioning.delay < 1 || conditioning.delay > 3))
        this.#report('known steps');
      if (conditioning.mode === 'guided' && conditioning.executionHorizon < 1) this.#report('horizon of the guidance');
    }
    const chunk: ActionChunk = { stamp, joints: NAMES, rows, values, period: this.#period };
    if (this.#schedule.accept(this.#schedule.requestInference(this.#now), chunk, this.#now) === 'accepted') {
      this.#newestAccepted = stamp;
      this.#acceptedSinceStop = true;
      if (this.#stoppedAt !== undefined && stamp <= this.#stoppedAt) this.#report('a chunk from before a stop');
      if (this.#now - stamp > toNanoseconds(rows * this.#period)) this.#count('old chunks');
    }
  }

  #tick(measured: MeasuredPositions | undefined): void {
    const gap = this.#lastTick === undefined ? 0n : this.#now - this.#lastTick;
    this.#lastTick = this.#now;
    const commanding = this.#previous !== undefined;
    const { command, fault } = this.#schedule.tick(this.#now, measured);
    if (fault !== undefined) this.#count(fault.code);
    if (commanding && gap > this.#config.safety.maxTickGap && command?.reason !== 'stop') this.#report('gap');
    if (commanding && measured === undefined && command?.reason !== 'stop') this.#report('lost state');
    if (command?.reason === 'step') {
      const age = this.#now - this.#newestAccepted!;
      if (age > toNanoseconds(11 * this.#period)) this.#report(`a step ${toSeconds(age)} s old`);
    }
    this.#check(command, measured);
  }

  /** Checks a command against every limit, and that it does not follow a stop. */
  #check(command: Command | undefined, measured?: MeasuredPositions): void {
    if (command === undefined) return;
    const { reason, values } = command;
    this.#count(reason);
    this.#pending.push(command);
    if (values.some((value) => !Number.isFinite(value))) this.#report('a value that is not finite');
    if (this.#stoppedAt !== undefined && !this.#acceptedSinceStop) this.#report(`${reason} after a stop`);
    if (reason === 'stop') {
      this.#previous = undefined;
      this.#acceptedSinceStop = false;
      this.#stoppedAt = command.time;
      return;
    }
    const previous: Motion = this.#previous ?? {
      values: measured!.positions.map((position, j) => (this.#isVelocity(j) ? 0 : position)),
      velocities: new Float64Array(values.length),
    };
    const elapsed = toSeconds(command.time - (previous.time ?? command.time));
    const velocities = values.map((value, j) =>
      this.#isVelocity(j) ? value : (value - previous.values[j]!) / this.#period,
    );
    for (const [j, { name, lower, upper, maxVelocity, maxAcceleration }] of this.#joints.entries()) {
      const [value, last] = [values[j]!, previous.values[j]!];
      // A velocity may change for as long as the previous one was in force; positions are one period apart.
      const seconds = this.#isVelocity(j) ? Math.max(this.#period, elapsed) : this.#period;
      const change = Math.abs(velocities[j]! - previous.velocities[j]!) / seconds;
      if (Math.abs(velocities[j]!) > maxVelocity + 1e-9) this.#report(`velocity of ${name}`);
      const outside = this.#isVelocity(j) ? false : last > upper || last < lower;
      // Beyond its limits a joint may only move back, at any deceleration; so may one whose measurement jumped there.
      const exempt = outside || (this.#isVelocity(j) && this.#disturbed);
      if (!exempt && change > maxAcceleration * (1 + 1e-6) + 1e-6) this.#report(`acceleration of ${name}`);
      if (!this.#isVelocity(j) && (value > Math.max(upper, last) + 1e-12 || value < Math.min(lower, last) - 1e-12))
        this.#report(`position of ${name}`);
    }
    this.#previous = { time: command.time, values, velocities };
  }

  /** The robot until `time`: each command takes effect after the delay, and for no longer than the guard allows. */
  #simulate(time: bigint): void {
    const step = (until: bigint): void => {
      if (until <= this.#simulatedTo) return;
      const seconds = toSeconds(until - this.#simulatedTo);
      const blocked = this.#simulatedTo < this.#blockedUntil;
      for (let j = 0; j < this.#position.length; j++) if (!blocked) this.#position[j]! += this.#velocity[j]! * seconds;
      this.#simulatedTo = until;
      this.#past.push({ stamp: until, positions: this.#position.slice() });
      const { upper, lower } = this.#joints[1]!;
      const tolerance = 1e-9;
      const x = this.#position[1]!;
      if (!this.#disturbed && (x > upper + tolerance || x < lower - tolerance))
        this.#report('true position of velocity');
    };
    const expire = (until: bigint): void => {
      if (this.#inForceUntil > until) return;
      step(this.#inForceUntil);
      this.#velocity.fill(0);
    };
    while (this.#pending.length > 0 && this.#pending[0]!.time + this.#delay <= time) {
      const { time: sent, values } = this.#pending.shift()!;
      const effective = sent + this.#delay;
      expire(effective);
      step(effective);
      this.#inForceUntil = effective + this.#config.safety.maxTickGap;
      for (const [j, value] of values.entries()) {
        if (this.#isVelocity(j)) this.#velocity[j] = value;
        else if (this.#simulatedTo >= this.#blockedUntil) this.#position[j] = value;
      }
    }
    expire(time);
    step(time);
    while (this.#past.length > 40) this.#past.shift();
  }

  /** A measurement of up to 90 ms ago, which sometimes jumps. */
  #measure(): MeasuredPositions | undefined {
    if (this.#now < this.#lostUntil) return undefined;
    const oldest = this.#now - toNanoseconds(this.#next() * 0.09);
    const sample = this.#past.find(({ stamp }) => stamp >= oldest) ?? this.#past.at(-1);
    const { stamp, positions } = sample ?? { stamp: this.#now, positions: this.#position.slice() };
    const jump = this.#disturbed && this.#next() < 0.01 ? (this.#next() - 0.5) * 2 : 0;
    return { stamp, positions: jump === 0 ? positions : positions.map((position) => position + jump) };
  }

  #isVelocity(j: number): boolean {
    return commandQuantity(this.#joints[j]!) === 'velocity';
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #report(what: string): void {
    if (!this.broken.has(what)) this.broken.set(what, `at ${toSeconds(this.#now - T0)} s`);
  }
}

test.each(MODE_NAMES)(
  'in_mode_%s_random_ticks_break_no_limit_and_nothing_follows_a_stop',
  (mode) => {
    const broken: string[] = [];
    const counts = new Map<string, number>();
    for (let seed = 0; seed < TICKS_PER_MODE / TICKS_PER_ROUND; seed++) {
      const round = new Round(seed, mode);
      round.run(TICKS_PER_ROUND);
      for (const [what, when] of round.broken) broken.push(`seed ${seed}: ${what} ${when}`);
      for (const [what, count] of round.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    }
    expect(broken.slice(0, 20)).toEqual([]);
    // Everything that can happen did.
    const faults = ['TICK_GAP', 'STATE_LOST', 'FOLLOWING_ERROR', 'COMMAND_JUMP', 'CHUNK_STALE'];
    const conditioning = { rtc: ['guided'], rtc_trained: ['trained'] }[mode as string] ?? [];
    for (const what of ['step', 'hold', 'stop', ...faults, ...conditioning]) {
      expect([what, counts.get(what) ?? 0]).toEqual([what, expect.any(Number)]);
      expect(counts.get(what) ?? 0).toBeGreaterThan(20);
    }
    expect(counts.get('step')).toBeGreaterThan(TICKS_PER_MODE / 5);
  },
  180_000,
);
