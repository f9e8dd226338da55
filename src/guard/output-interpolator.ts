import { type ActionJoint, commandQuantity, type PolicyConfig } from '../config/config.js';
import type { Command } from '../frame/frame.js';
import { limitPosition } from '../schedule/limits.js';
import { tickPeriod, toNanoseconds, toSeconds } from '../time.js';

/** A command that is late by up to this part of a control period is awaited at constant velocity. */
const AWAITED = 0.5;
/** A velocity that falls faster than this multiple of `maxAcceleration` is not ramped: it brakes before a limit. */
const HARD_BRAKING = 1.5;

/** A distance from the curve falls with this time constant, control periods. */
const RETURN_TIME = 0.5;

/** Motion of one joint from one command to the next. */
interface Segment {
  /** The last commands, newest first: the control points. */
  readonly commands: readonly [number, number, number, number];
  /** Where a velocity begins. */
  readonly velocity: number;
}

/**
 * What is sent between the commands of two control ticks (`output_rate`). A pure function of its events.
 *
 * - Positions follow a uniform cubic B-spline whose control points are the commands. It stays between the commands, and its velocity
 *   and acceleration between theirs. A curve through the commands would not: it needs up to four times their acceleration. It
 *   is one control period behind a straight line to each command.
 * - Velocities change linearly within one control period.
 *
 * A command that is late is awaited at constant velocity; the distance from the curve that remains then falls exponentially. Each
 * sample is also limited, from the one before, at the rate of the samples.
 */
export class OutputInterpolator {
  #joints: readonly ActionJoint[];
  /** Seconds. */
  readonly #period: number;
  readonly #sample: number;
  /** Undefined while the robot is stopped. */
  #command: Command | undefined;
  /** [4][action joints] the last commands, newest first. */
  #commands: readonly Float64Array[] = [];
  #segments: readonly Segment[] = [];
  /** When what the segments begin with was sent, ns. */
  #startedAt = 0n;
  /** [action joints] what was sent last, its velocity, and its distance from the curve. */
  #sent: Float64Array = new Float64Array(0);
  #offsets: Float64Array = new Float64Array(0);
  #velocities: Float64Array = new Float64Array(0);
  #sentAt = 0n;

  constructor(config: PolicyConfig, rate: number) {
    this.#joints = config.action.joints;
    this.#period = 1 / config.controlRate;
    this.#sample = toSeconds(tickPeriod(rate));
  }

  setLimits({ action }: PolicyConfig): void {
    this.#joints = action.joints;
  }

  /** Call this when the stop action is sent. */
  stop(): void {
    this.#command = undefined;
  }

  /** A command that has passed all checks. @param now ns. @param measured [action joints]; undefined where unknown. */
  start(command: Command, now: bigint, measured: Float64Array | undefined): void {
    const { values } = command;
    if (this.#command === undefined) {
      const start = values.map((value, j) => {
        if (this.#isVelocity(j)) return 0;
        const position = measured?.[j] ?? NaN;
        return Number.isNaN(position) ? value : position;
      });
      this.#commands = [start, start, start, start];
      this.#sent = start;
      this.#velocities = new Float64Array(start.length);
      this.#sentAt = now - toNanoseconds(this.#sample);
    }
    this.#command = command;
    this.#commands = [values, ...this.#commands.slice(0, 3)];
    this.#segments = this.#joints.map((joint, j) => this.#segment(joint, j));
    this.#offsets = this.#sent.map((last, j) => (this.#isVelocity(j) ? 0 : last - curve(this.#segments[j]!, 0)));
    this.#startedAt = this.#sentAt;
  }

  /** What is sent at `now`, ns; undefined while the robot is stopped, and where the last sample was sent just before. */
  sample(now: bigint): Command | undefined {
    const command = this.#command;
    if (command === undefined) return undefined;
    const elapsed = toSeconds(now - this.#sentAt);
    // A timer may be a little early.
    if (elapsed >= 0 && elapsed < 0.75 * this.#sample) return undefined;
    const seconds = Math.min(Math.max(elapsed, this.#sample), 2 * this.#sample);
    const part = Math.max(0, toSeconds(now - this.#startedAt)) / this.#period;
    const velocities = new Float64Array(this.#joints.length);
    const values = this.#sent.map((last, j) => {
      const joint = this.#joints[j]!;
      const segment = this.#segments[j]!;
      if (this.#isVelocity(j)) return limitChange(ramp(segment, part), joint, last, seconds);
      const target = curve(segment, part);
      const wanted = target + this.#offsets[j]! * Math.exp(-seconds / (RETURN_TIME * this.#period));
      const value = limitPosition(wanted, joint, { position: last, velocity: this.#velocities[j]! }, seconds);
      velocities[j] = (value - last) / seconds;
      this.#offsets[j] = value - target;
      return value;
    });
    this.#sent = values;
    this.#velocities = velocities;
    this.#sentAt = now;
    const { reason, observation } = command;
    return { time: command.time, reason, values, ...(observation !== undefined && { observation }) };
  }

  #segment({ maxAcceleration }: ActionJoint, j: number): Segment {
    const commands = this.#commands.map((values) => values[j]!) as [number, number, number, number];
    const [next] = commands;
    const sent = this.#sent[j]!;
    const brakes = next * sent >= 0 && Math.abs(sent) - Math.abs(next) > HARD_BRAKING * maxAcceleration * this.#period;
    return { commands, velocity: brakes ? next : sent };
  }

  #isVelocity(j: number): boolean {
    return commandQuantity(this.#joints[j]!) === 'velocity';
  }
}

/** A velocity. @param part of the control period, from 0 on; after 1 it stays. */
function ramp({ velocity, commands: [end] }: Segment, part: number): number {
  return velocity + (end - velocity) * Math.min(part, 1);
}

/** A position. @param part of the control period, from 0 on; after 1 it goes on at constant velocity for a while, and then stays. */
function curve({ commands: [c0, c1, c2, c3] }: Segment, part: number): number {
  if (part >= 1) return (c2 + 4 * c1 + c0) / 6 + ((c0 - c2) / 2) * Math.min(part - 1, AWAITED);
  const [s, s2, s3] = [part, part ** 2, part ** 3];
  const weights = [s3, -3 * s3 + 3 * s2 + 3 * s + 1, 3 * s3 - 6 * s2 + 4, (1 - s) ** 3] as const;
  return (weights[0] * c0 + weights[1] * c1 + weights[2] * c2 + weights[3] * c3) / 6;
}

/** A velocity may rise by what `maxAcceleration` allows, and fall at once. */
function limitChange(wanted: number, { maxAcceleration }: ActionJoint, last: number, seconds: number): number {
  if (wanted * last >= 0 && Math.abs(wanted) <= Math.abs(last)) return wanted;
  const change = maxAcceleration * seconds;
  return Math.min(Math.max(wanted, last - change), last + change);
}

/**
 * The largest difference between two messages of each output that is interpolated, which is one step for a controller that runs
 * faster: `arm: 0.06 rad/s`.
 */
export function largestSteps({ action, outputs }: PolicyConfig, rate: number): string {
  const steps = outputs
    .filter(({ type }) => type !== 'joint_trajectory_chunk')
    .map(({ name, joints }) => {
      const own = action.joints.filter((joint) => joints.includes(joint.name));
      const largest = (velocity: boolean, unit: string): string[] => {
        const some = own.filter((joint) => (commandQuantity(joint) === 'velocity') === velocity);
        const step = Math.max(...some.map((joint) => (velocity ? joint.maxAcceleration : joint.maxVelocity))) / rate;
        return some.length === 0 ? [] : [`${Number(step.toPrecision(3))} ${unit}`];
      };
      return `${name}: ${[...largest(false, 'rad or m'), ...largest(true, 'rad/s or m/s')].join(', ')}`;
    });
  return steps.join('; ');
}
