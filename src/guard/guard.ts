import { commandQuantity, type PolicyConfig } from '../config/config.js';
import { measuredJoints } from '../config/needed-joints.js';
import { hasRobotDescription } from '../config/limits.js';
import type { Command } from '../frame/frame.js';
import type { ToolGuard } from '../schedule/tool-guard.js';
import { CLOCK_JUMP, CLOCK_TIMEOUT, formatSeconds, SECOND, tickPeriod } from '../time.js';
import { type GuardActions, merge, NOTHING } from './actions.js';
import { LimitCheck, type Measured } from './limit-check.js';
import { type Cause, type CommandMessage, commandOf, type GuardMessage, type PolicyMessage } from './protocol.js';
import { TrajectoryCheck } from './trajectory-check.js';

/**
 * `inactive`: the policy sends no commands. `moving`: commands pass. `stopped`: a command passes when its observation is
 * newer than the last stop. `latched`: no command passes until `resume`.
 */
export type GuardState = 'inactive' | 'moving' | 'stopped' | 'latched';

/** When an event happens, ns. */
export interface GuardTime {
  /** A clock that never jumps. */
  readonly steady: bigint;
  /** ROS time; with `use_sim_time` the newest time of `/clock`, 0 before the first. */
  readonly ros: bigint;
}

type PolicyEvent = Exclude<PolicyMessage, { type: 'attach' | 'detach' }>;

const WITHOUT_LIMITS = 'Expected the robot description before the first command, received none';
/** The stop action is repeated each control period for this long, ns. */
export const REPEAT_FOR = 2n * SECOND;
/** After a pause of the guard, calls of `resume` that were made during it are delivered within this time, ns of the steady clock. */
const CALLS_OF_PAUSE = SECOND;

/**
 * Decides which commands of the policy process reach the robot, and when it is stopped. A pure state machine: time and
 * measured positions are arguments, and nothing is published from here.
 *
 * The rules:
 * 1. A command passes if the policy is active, the guard is not latched, no limit is broken, and its observation is newer
 *    than the last stop, and its time is within `safety.command_timeout` of this process's. A hold also passes while the robot moves, and after an activation.
 * 2. Nothing follows a stop except the stop action, until such a command comes.
 * 3. These stop: a command that breaks a limit, no command for `safety.command_timeout`, no measured joint positions, `stop` and
 *    `deactivate` of the policy, a clock that jumps back, a simulated clock that stands still. Codes of `safety.latch` latch.
 * 4. These latch: an active policy that is silent for `safety.latch_after`, a connection that closes without `detach`, this
 *    guard not running for `safety.latch_after` or missed by the policy (GUARD_LOST), no heartbeat, the emergency stop. Only
 *    `resume` ends it, called after the guard continued.
 *
 * Silence is counted on the steady clock, with `use_sim_time` in simulated time. In lock-step no time-out applies. Every
 * method checks first what has become due, because after a pause messages may be delivered before the timer.
 */
export class Guard {
  readonly #config: PolicyConfig;
  readonly #simulated: boolean;
  readonly #lockstep: boolean;
  readonly #period: bigint;
  #limits: LimitCheck;
  /** Limits come from a robot description that has not arrived yet: no command passes. */
  #waitsForLimits: boolean;
  #tool: ToolGuard | undefined;
  readonly #trajectory: TrajectoryCheck;
  /** Whether measured positions are needed to move. */
  readonly #needsState: boolean;

  #active = false;
  #moving = false;
  #latch: Cause | undefined;
  /** Why the robot was stopped last; undefined after an activation. */
  #cause: Cause | undefined;
  /** ROS time of the last stop or resume: observations must be newer. */
  #stoppedAt = 0n;
  /** The stop action that is repeated, and on the steady clock when it was sent last and until when it is repeated. */
  #repeated: { readonly values: Float64Array; readonly until: bigint; sentAt: bigint } | undefined;
  /** [action joints] the last command that was published, stop actions included. */
  #sent: Float64Array | undefined;

  // Times of the last events: the first two on the clock of the control ticks, the others on the steady clock.
  #commandAt = 0n;
  #heardAt = 0n;
  #checkedAt: bigint;
  #heartbeatAt: bigint | undefined;
  /** When the guard continued after its last pause. */
  #continuedAt: bigint | undefined;
  #clockChangedAt: bigint;
  /** The newest ROS time. */
  #rosTime: bigint;

  /** @param latch with which it begins. */
  constructor(config: PolicyConfig, simulated: boolean, now: GuardTime, latch?: Cause) {
    this.#config = config;
    this.#simulated = simulated;
    this.#lockstep = config.schedule.lockstep;
    this.#period = tickPeriod(config.controlRate);
    this.#limits = new LimitCheck(config);
    this.#trajectory = new TrajectoryCheck(config);
    this.#waitsForLimits = hasRobotDescription(config);
    this.#needsState = measuredJoints(config).length > 0;
    this.#checkedAt = this.#clockChangedAt = now.steady;
    this.#rosTime = now.ros;
    this.#latch = latch;
  }

  /**
   * Replaces the limits when a robot description has arrived.
   * @param config with its limits. @param tool undefined where the tool is not limited.
   */
  setLimits(config: PolicyConfig, tool: ToolGuard | undefined): void {
    this.#limits = new LimitCheck(config);
    this.#tool = tool;
    this.#waitsForLimits = false;
  }

  get state(): GuardState {
    if (this.#latch !== undefined) return 'latched';
    if (!this.#active) return 'inactive';
    return this.#moving ? 'moving' : 'stopped';
  }

  /** Why the guard is latched, or why the robot was stopped; undefined while it moves and after an activation. */
  get cause(): Cause | undefined {
    return this.#latch ?? this.#cause;
  }

  get latch(): Cause | undefined {
    return this.#latch;
  }

  /** Whether the stop action is still repeated. */
  get repeats(): boolean {
    return this.#repeated !== undefined;
  }

  /** Call this at least once per control period, and with `use_sim_time` at each new time. */
  check(now: GuardTime, measured: Measured | undefined): GuardActions {
    const actions = this.#advance(now, measured);
    const repeated = this.#repeated;
    if (actions.command !== undefined || repeated === undefined) return actions;
    if (now.steady >= repeated.until) this.#repeated = undefined;
    // A timer may be a little early.
    if (now.steady - repeated.sentAt < (this.#period * 9n) / 10n) return actions;
    repeated.sentAt = now.steady;
    return { ...actions, command: { time: now.ros, reason: 'stop', values: repeated.values } };
  }

  /** A message of the policy process. */
  receive(message: PolicyEvent, now: GuardTime, measured: Measured | undefined): GuardActions {
    const due = this.#advance(now, measured);
    const stopped = due.command !== undefined;
    this.#heardAt = this.#controlTime(now);
    switch (message.type) {
      case 'activate':
        this.#active = true;
        this.#cause = undefined;
        return due;
      case 'deactivate': {
        const actions = this.#stop(undefined, now, measured);
        this.#active = false;
        return merge(due, actions);
      }
      case 'tick':
        return due;
      case 'repeat_stop':
        return merge(due, this.#answer(NOTHING, now, measured));
      case 'stop':
        return merge(due, this.#answer(this.#stop(message, now, measured), now, measured));
      case 'command':
        return stopped ? due : merge(due, this.#answer(this.#command(message, now, measured), now, measured));
    }
  }

  /** The connection ended. @param orderly whether the policy process sent `detach`. @param cause of the latch otherwise. */
  disconnect(orderly: boolean, cause: Cause, now: GuardTime, measured: Measured | undefined): GuardActions {
    const due = this.#advance(now, measured);
    const actions = orderly ? this.#stop(undefined, now, measured) : this.#latchWith(cause, now, measured);
    this.#active = false;
    return merge(due, actions);
  }

  /** The stop action, also where it was sent before, and the latch. */
  emergencyStop(message: string, now: GuardTime, measured: Measured | undefined): GuardActions {
    const due = this.#advance(now, measured);
    const actions = this.#latchWith({ code: 'EMERGENCY_STOP', message }, now, measured);
    const command = actions.command ?? due.command ?? this.#stopAction(now, measured);
    return merge(due, { ...actions, command });
  }

  /** The last message before the guard ends. */
  end(now: GuardTime, measured: Measured | undefined): GuardActions {
    const { command, messages } = this.#stop(undefined, now, measured);
    const values = this.#repeated?.values;
    if (command !== undefined || values === undefined) return { ...(command && { command }), messages };
    return { command: { time: now.ros, reason: 'stop', values }, messages };
  }

  /** Ends the latch. @returns whether commands may pass now, with a sentence for the caller. */
  resume(now: GuardTime, measured: Measured | undefined): GuardActions & { success: boolean; message: string } {
    const due = this.#advance(now, measured);
    if (this.#latch === undefined) return { ...due, success: true, message: 'not latched' };
    if (this.#heartbeatLost(now)) return { ...due, success: false, message: this.#heartbeatCause().message };
    if (this.#continuedAt !== undefined && now.steady - this.#continuedAt < CALLS_OF_PAUSE) {
      const message =
        'Expected a call after the pause of the guard, received one that may be older: call again after 1 s';
      return { ...due, success: false, message };
    }
    const { code } = this.#latch;
    this.#cause = this.#latch;
    this.#latch = undefined;
    this.#stoppedAt = now.ros;
    this.#heardAt = this.#controlTime(now);
    const released: GuardMessage = { type: 'released', time: now.ros };
    return { ...due, messages: [...due.messages, released], success: true, message: `released after ${code}` };
  }

  /** A message of `safety.heartbeat_topic`. */
  heartbeat(now: GuardTime): void {
    this.#heartbeatAt = now.steady;
  }

  /** What is due: the clocks are followed, and silence stops or latches. */
  #advance(now: GuardTime, measured: Measured | undefined): GuardActions {
    const pausedFor = now.steady - this.#checkedAt;
    this.#checkedAt = now.steady;
    const stepBack = this.#followClock(now);
    const { commandTimeout, latchAfter } = this.#config.safety;
    const silentFor = this.#controlTime(now) - this.#heardAt;
    const withoutCommand = this.#controlTime(now) - this.#commandAt;
    const paused = !this.#lockstep && pausedFor > latchAfter;
    if (paused) this.#continuedAt = now.steady;
    if (paused && this.#latch === undefined) {
      const message = `Expected the guard to run without a pause, but it did not run for ${formatSeconds(pausedFor)} s`;
      return this.#latchWith({ code: 'GUARD_PAUSED', message }, now, measured);
    }
    if (this.#latch === undefined && this.#active && !this.#lockstep && silentFor > latchAfter) {
      const message = `Expected a heartbeat of the policy each control period, received none for ${formatSeconds(silentFor)} s`;
      return this.#latchWith({ code: 'POLICY_SILENT', message }, now, measured);
    }
    if (!this.#moving) return NOTHING;
    if (this.#heartbeatLost(now)) return this.#latchWith(this.#heartbeatCause(), now, measured);
    if (this.#lockstep) return NOTHING;
    if (withoutCommand > commandTimeout) {
      const message = `Expected a command each control period, received none for ${formatSeconds(withoutCommand)} s`;
      return this.#stop({ code: 'COMMAND_TIMEOUT', message }, now, measured);
    }
    if (stepBack > CLOCK_JUMP) {
      const message = `Expected the time to increase, received one ${formatSeconds(stepBack)} s before the last`;
      return this.#stop({ code: 'CLOCK_BACKWARDS', message }, now, measured);
    }
    const still = now.steady - this.#clockChangedAt;
    if (this.#simulated && still > CLOCK_TIMEOUT) {
      const message = `Expected /clock to advance, received no new time for ${formatSeconds(still)} s`;
      return this.#stop({ code: 'CLOCK_STILL', message }, now, measured);
    }
    const problem =
      this.#stateProblem(measured) ?? this.#limitProblem(this.#limits.checkMotion(this.#usable(measured)));
    return problem === undefined ? NOTHING : this.#stop(problem, now, measured);
  }

  #command(message: CommandMessage, now: GuardTime, measured: Measured | undefined): GuardActions {
    const { time, reason, values, observation, following } = message;
    if (!this.#active) return NOTHING;
    const isNew = observation !== null && observation > this.#stoppedAt;
    // It was sent before this process paused, or before the clock jumped.
    const { commandTimeout } = this.#config.safety;
    const isOfOtherTime = !this.#lockstep && (now.ros - time > commandTimeout || time - now.ros > commandTimeout);
    const mayHold = reason === 'hold' && (this.#moving || this.#cause === undefined);
    if (this.#latch !== undefined || isOfOtherTime || (!isNew && !mayHold)) return NOTHING;
    const usable = this.#usable(measured);
    // In lock-step the policy may have computed it from joint states that have not arrived here yet.
    const positions = this.#lockstep ? undefined : usable;
    const problem =
      (this.#heartbeatLost(now) ? this.#heartbeatCause() : undefined) ??
      this.#stateProblem(measured) ??
      this.#limitProblem(this.#waitsForLimits ? WITHOUT_LIMITS : undefined) ??
      this.#limitProblem(this.#limits.checkCommand(values, this.#controlTime(now), positions)) ??
      this.#tool?.checkCommand({ time, reason, values }, usable?.positions) ??
      this.#trajectory.check(values, following, this.#limits, this.#tool, usable?.positions);
    if (problem !== undefined) return this.#stop(problem, now, measured);
    this.#moving = true;
    this.#cause = undefined;
    this.#repeated = undefined;
    this.#sent = values;
    this.#commandAt = this.#controlTime(now);
    return { command: commandOf(message), messages: [] };
  }

  #latchWith(cause: Cause, now: GuardTime, measured: Measured | undefined): GuardActions {
    const { command, messages } = this.#stop(cause, now, measured);
    return { ...(command && { command }), messages: [...messages, ...this.#setLatch(cause)] };
  }

  /** Stops the robot if it moves. @param cause undefined where the policy ends the motion as it should. */
  #stop(cause: Cause | undefined, now: GuardTime, measured: Measured | undefined): GuardActions {
    const moved = this.#moving;
    const messages: GuardMessage[] = [];
    this.#moving = false;
    this.#stoppedAt = now.ros;
    if (cause !== undefined) {
      const { code, message } = cause;
      this.#cause = { code, message };
      if (moved) messages.push({ type: 'stopped', code, message, time: now.ros });
      if (code === 'GUARD_LOST' || this.#config.safety.latch.includes(code)) messages.push(...this.#setLatch(cause));
    }
    return moved ? { command: this.#stopAction(now, measured), messages } : { messages };
  }

  /** In lock-step a simulation waits for a command at each tick; while the robot is stopped, that is the stop action. */
  #answer(actions: GuardActions, now: GuardTime, measured: Measured | undefined): GuardActions {
    if (!this.#lockstep || !this.#active || this.#moving || actions.command !== undefined) return actions;
    return { ...actions, command: this.#stopAction(now, measured) };
  }

  #setLatch({ code, message }: Cause): GuardMessage[] {
    if (this.#latch !== undefined) return [];
    this.#latch = { code, message };
    return [{ type: 'latched', code, message }];
  }

  /**
   * Zero velocities; measured positions, or the last command where they are unknown; grippers the other way round. NaN where
   * neither is known. It is repeated from now on, except in lock-step, where no message is lost.
   */
  #stopAction(now: GuardTime, measured: Measured | undefined): Command {
    const known = this.#usable(measured)?.positions;
    const values = Float64Array.from(this.#config.action.joints, (joint, j) => {
      if (commandQuantity(joint) === 'velocity') return 0;
      const sent = this.#sent?.[j] ?? NaN;
      const position = known?.[j] ?? NaN;
      const [first, second] = joint.gripper ? [sent, position] : [position, sent];
      return Number.isNaN(first) ? second : first;
    });
    this.#limits.reset();
    this.#tool?.reset();
    this.#trajectory.reset();
    this.#sent = values;
    if (!this.#lockstep) this.#repeated = { values, until: now.steady + REPEAT_FOR, sentAt: now.steady };
    return { time: now.ros, reason: 'stop', values };
  }

  /** Undefined where the positions are too old. The policy stops using them one period earlier. */
  #usable(measured: Measured | undefined): Measured | undefined {
    return measured !== undefined && measured.overdue <= this.#period ? measured : undefined;
  }

  /** In lock-step positions may arrive after the command of the same time. */
  #stateProblem(measured: Measured | undefined): Cause | undefined {
    if (!this.#needsState || this.#lockstep || this.#usable(measured) !== undefined) return undefined;
    const { topic } = this.#config.state;
    const received = measured ? `one that is ${formatSeconds(measured.overdue)} s too old` : 'none that can be used';
    const message = `Expected a value of each joint (${topic}) within its maximum age, received ${received}`;
    return { code: 'STATE_LOST', message };
  }

  #limitProblem(message: string | undefined): Cause | undefined {
    return message === undefined ? undefined : { code: 'COMMAND_LIMIT', message };
  }

  /** The clock in which commands and silence are counted. */
  #controlTime({ steady, ros }: GuardTime): bigint {
    return this.#simulated ? ros : steady;
  }

  /**
   * Follows ROS time. After a step back no stop lies in the future. A step of simulated time, back or beyond
   * `safety.command_timeout`, is not time in which the policy was silent.
   * @returns how far it went back, ns; 0 or less where it did not.
   */
  #followClock({ steady, ros }: GuardTime): bigint {
    const step = ros - this.#rosTime;
    if (step === 0n) return 0n;
    this.#rosTime = ros;
    this.#clockChangedAt = steady;
    if (ros < this.#stoppedAt) this.#stoppedAt = ros;
    if (this.#simulated && step < 0n) this.#limits.restartRate();
    if (this.#simulated && (step < 0n || step > this.#config.safety.commandTimeout)) {
      this.#commandAt += step;
      this.#heardAt += step;
    }
    return -step;
  }

  #heartbeatLost({ steady }: GuardTime): boolean {
    const { heartbeatTopic, heartbeatMaxAge } = this.#config.safety;
    if (heartbeatTopic === '') return false;
    return this.#heartbeatAt === undefined || steady - this.#heartbeatAt > heartbeatMaxAge;
  }

  #heartbeatCause(): Cause {
    const { heartbeatTopic, heartbeatMaxAge } = this.#config.safety;
    const message = `Expected a message on ${heartbeatTopic} every ${formatSeconds(heartbeatMaxAge)} s, received none`;
    return { code: 'HEARTBEAT_LOST', message };
  }
}
