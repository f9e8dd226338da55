import { constants, homedir, setPriority } from 'node:os';
import { errorMessage, Pi05Error } from '../errors.js';
import type { Command } from '../frame/frame.js';
import type { GuardActions } from '../guard/actions.js';
import { Guard, type GuardTime } from '../guard/guard.js';
import { LatchFile } from '../guard/latch-file.js';
import type { Measured } from '../guard/limit-check.js';
import { largestSteps, OutputInterpolator } from '../guard/output-interpolator.js';
import { OwnPublishers } from '../guard/own-publishers.js';
import { type Cause, configHash, PROTOCOL_VERSION } from '../guard/protocol.js';
import { GuardServer, type ServerHandlers } from '../guard/server.js';
import { guardSocketPath } from '../guard/socket.js';
import { readUrdfFile } from '../robot/description.js';
import { withRobotLimits } from '../robot/limits.js';
import type { RobotModel } from '../robot/urdf.js';
import { createToolGuard } from '../schedule/tool-guard.js';
import { tickPeriod, toMilliseconds } from '../time.js';
import { loadRcl } from './environment.js';
import { guardArguments } from './guard-arguments.js';
import { STARTED_BY } from './guard-connection.js';
import { GuardNode } from './guard-node.js';
import { safetyStatus } from './guard-status.js';
import { avoidSharedMemory } from './guard-transport.js';
import type { Rcl } from './rcl.js';
import type { NativeRcl } from './rclnodejs-internals.js';
import { ENDING_SIGNALS, initFailure } from './run.js';
import { dropOutputWhenTerminalBlocks } from './terminal.js';

/** Longest time between two checks, ms. */
const MAX_CHECK_MS = 100;
const DIAGNOSTICS_MS = 1000;
/** The guard and the policy read joint positions at different times: the tool may be further out by this, m, and faster, m/s. */
const TOOL_TOLERANCE = 0.01;
/** How long the end of the process waits until reliable subscribers have the last stop action, ns per output. */
const FLUSH_TIMEOUT = 200_000_000n;
/** The same for the answer to `deactivate`, which is given while the guard runs on. */
const CONFIRM_TIMEOUT = 30_000_000n;

/**
 * Runs the guard of one policy until a signal, or until the policy has detached and the stop action was repeated.
 * @param argv the arguments after `pi05 guard`: the policy's ROS arguments.
 * @returns exit status 0. The last message on each command topic is then the stop action.
 * @throws Pi05Error ENVIRONMENT, USAGE, CONFIG_*, GUARD_RUNNING, INTERNAL.
 */
export async function runGuard(argv: readonly string[]): Promise<number> {
  preferThisProcess();
  dropOutputWhenTerminalBlocks();
  avoidSharedMemory(process.env);
  const { rcl, native } = await loadRcl(process.env);
  // rcl writes its log below HOME and fails without it.
  process.env['HOME'] ??= homedir();
  try {
    await rcl.init(undefined, ['pi05', ...guardArguments(argv).argv]);
  } catch (error) {
    throw initFailure(errorMessage(error));
  }
  try {
    const guard = new GuardProcess(rcl, native, argv);
    const signal = new Promise<void>((resolve) => ENDING_SIGNALS.forEach((name) => process.on(name, () => resolve())));
    const failure = new Promise<never>((_, reject) => process.on('uncaughtException', reject));
    await guard.start();
    try {
      await Promise.race([signal, failure, guard.ended]);
    } finally {
      guard.end();
    }
  } finally {
    rcl.shutdown();
  }
  return 0;
}

/** On a busy machine the guard runs first, where the user may raise priorities. The threads of the middleware inherit this. */
function preferThisProcess(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch {
    // The usual case for an ordinary user: the priority of all other processes.
  }
}

/** Connects the state machine with the policy process, the ROS graph, the timers and the clocks. */
class GuardProcess implements ServerHandlers {
  /** Resolves after an orderly exit of the policy, rejects after an internal error. */
  readonly ended: Promise<void>;
  readonly #node: GuardNode;
  readonly #guard: Guard;
  readonly #server = new GuardServer(this);
  readonly #hash: string;
  readonly #socketPath: string;
  readonly #latchFile: LatchFile;
  /** What `#latchFile` contains. */
  #storedLatch: Cause | undefined;
  #resolveEnded: () => void = () => {};
  #rejectEnded: (error: unknown) => void = () => {};
  /** Undefined where commands are published as they come. */
  readonly #interpolator: OutputInterpolator | undefined;
  #outputTimer: NodeJS.Timeout | undefined;
  #timers: NodeJS.Timeout[] = [];
  /** Fires when the command time-out has passed since the last command. */
  #commandTimer: NodeJS.Timeout | undefined;
  /** Whether the last policy has detached: the guard ends when it is not needed any more. */
  #detached = false;
  #attachedOnce = false;
  /** The joints of the robot description that applies. */
  #joints = '';
  /** What was published on `~/safety` last. */
  #status = '';

  constructor(rcl: Rcl, native: NativeRcl, argv: readonly string[]) {
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = resolve;
      this.#rejectEnded = reject;
    });
    this.ended.catch(() => {});
    const onError = (error: unknown): void => this.#rejectEnded(error);
    this.#node = new GuardNode(rcl, native, argv, {
      onStop: (source) => this.#handle((now, measured) => this.#guard.emergencyStop(source, now, measured)),
      onResume: () => this.#resume(),
      onHeartbeat: () => this.#guard.heartbeat(this.#now()),
      onClock: () => this.#check(),
      onRobotModel: (model) => this.#useModel(model),
      onError,
    });
    const { config, simulated } = this.#node;
    this.#hash = configHash(config, simulated);
    this.#socketPath = guardSocketPath(this.#node.policy, process.env);
    new OwnPublishers(this.#socketPath).add(this.#node.gidPrefix);
    this.#latchFile = new LatchFile(this.#socketPath);
    this.#storedLatch = this.#latchFile.read();
    this.#guard = new Guard(config, simulated, this.#now(), this.#storedLatch);
    const { outputRate } = this.#node;
    this.#interpolator = outputRate === undefined ? undefined : new OutputInterpolator(config, outputRate);
    if (config.robotDescription.file !== '') this.#useModel(readUrdfFile(config.robotDescription.file));
  }

  /** @throws Pi05Error GUARD_RUNNING, ENVIRONMENT. */
  async start(): Promise<void> {
    await this.#server.listen(this.#socketPath);
    this.#node.spin();
    const { controlRate, safety } = this.#node.config;
    const period = Math.min(toMilliseconds(tickPeriod(controlRate)), MAX_CHECK_MS);
    const onTimer = (): void => {
      this.#check();
      this.#server.send({ type: 'heartbeat' });
      this.#endWhenDetached();
    };
    // Node.js may call timers up to a millisecond early.
    this.#commandTimer = setTimeout(() => this.#check(), toMilliseconds(safety.commandTimeout) + 2);
    this.#timers = [
      this.#commandTimer,
      setInterval(onTimer, period),
      setInterval(() => {
        this.#node.publishDiagnostics(this.#safetyStatus());
        this.#endWhenAbandoned();
      }, DIAGNOSTICS_MS),
    ];
    this.#startInterpolation();
    this.#publishStatus();
    this.#node.log.info(`guard of ${this.#node.policy}: control period ${period.toFixed(1)} ms`);
    const { latch } = this.#guard;
    if (latch !== undefined) this.#node.log.error(`still latched: ${latch.code}: ${latch.message}`);
  }

  /** Publishes the stop action once more where the robot was moved in the last two seconds. Nothing follows it. */
  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    clearTimeout(this.#outputTimer);
    this.#handle((now, measured) => this.#guard.end(now, measured));
    this.#server.close();
    this.#node.flush(FLUSH_TIMEOUT);
  }

  attach({
    node,
    protocol,
    config,
    pid,
  }: Parameters<ServerHandlers['attach']>[0]): ReturnType<ServerHandlers['attach']> {
    const problem = this.#mismatch(node, protocol, config);
    if (problem !== undefined) {
      const message = `${problem}; end the guard (process ${process.pid}) and start the policy again`;
      return { type: 'refused', code: 'GUARD_CONFIG', message };
    }
    this.#detached = false;
    this.#attachedOnce = true;
    this.#node.log.info(`policy process ${pid} is connected`);
    setImmediate(() => this.#publishStatus());
    return { type: 'attached', pid: process.pid, latched: this.#guard.latch ?? null };
  }

  receive(message: Parameters<ServerHandlers['receive']>[0]): void {
    if (message.type === 'command') this.#commandTimer?.refresh();
    // As the policy does: the robot may have been moved while it was inactive.
    if (message.type === 'activate') this.#node.forgetJoints();
    this.#handle((now, measured) => this.#guard.receive(message, now, measured));
    if (message.type === 'deactivate') {
      this.#server.send({ type: 'deactivated', acknowledged: this.#node.flush(CONFIRM_TIMEOUT) });
    }
  }

  disconnect(orderly: boolean, cause: Cause): void {
    this.#handle((now, measured) => this.#guard.disconnect(orderly, cause, now, measured));
    this.#detached = orderly;
    this.#node.log.info(orderly ? 'the policy process has detached' : 'the policy process is lost');
    this.#endWhenDetached();
  }

  #mismatch(node: string, protocol: number, hash: string): string | undefined {
    const { policy } = this.#node;
    if (protocol !== PROTOCOL_VERSION)
      return `Expected protocol ${PROTOCOL_VERSION} of the guard, received ${protocol}`;
    if (node !== policy) return `Expected the policy ${policy}, received ${node}`;
    return hash === this.#hash
      ? undefined
      : `Expected the parameters with which the guard of ${node} runs, received others`;
  }

  /** The limits of the newest robot description apply. One that does not fit changes nothing; the policy reports it too. */
  #useModel(model: RobotModel): void {
    const joints = JSON.stringify([...model.joints.values()]);
    if (joints === this.#joints) return;
    this.#joints = joints;
    try {
      const { config } = withRobotLimits(this.#node.config, model);
      this.#node.setLimits(config);
      this.#guard.setLimits(config, createToolGuard(config, model, TOOL_TOLERANCE));
      this.#interpolator?.setLimits(config);
    } catch (error) {
      this.#node.log.error(String(error));
    }
  }

  #check(): void {
    this.#handle((now, measured) => this.#guard.check(now, measured));
  }

  #resume(): { success: boolean; message: string } {
    let response = { success: false, message: '' };
    this.#handle((now, measured) => {
      const { success, message, ...actions } = this.#guard.resume(now, measured);
      response = { success, message };
      return actions;
    });
    return response;
  }

  #now(): GuardTime {
    return { steady: process.hrtime.bigint(), ros: this.#node.readRosTime() };
  }

  /** Passes an event to the state machine and does what it returns. An error in it ends the guard, with the stop action. */
  #handle(event: (now: GuardTime, measured: Measured | undefined) => GuardActions): void {
    try {
      const now = this.#now();
      const measured = this.#node.measured(now.ros, now.steady);
      const { command, messages } = event(now, measured);
      if (command !== undefined) this.#publish(command, now, measured);
      for (const message of messages) {
        this.#server.send(message);
        if (message.type === 'released')
          this.#node.log.info('released: a chunk from a new observation moves the robot');
        else if ('code' in message) this.#node.log.error(`${message.type}: ${message.code}: ${message.message}`);
      }
      this.#publishStatus();
      this.#storeLatch();
    } catch (error) {
      this.#rejectEnded(error);
    }
  }

  /** Commands are interpolated where `output_rate` is given. The stop action is sent at once. */
  #publish(command: Command, now: GuardTime, measured: Measured | undefined): void {
    const interpolator = this.#interpolator;
    if (interpolator === undefined || command.reason === 'stop') {
      interpolator?.stop();
      return this.#node.publish(command);
    }
    this.#node.publish(command, 'chunks');
    interpolator.start(command, this.#outputTime(now), measured?.positions);
    this.#publishSample(now);
  }

  #publishSample(now: GuardTime): void {
    const sample = this.#interpolator?.sample(this.#outputTime(now));
    // A trajectory that begins at the time of the tick would already have ended (`outputs.<output>.stamp: now`).
    if (sample !== undefined) this.#node.publish({ ...sample, time: now.ros });
  }

  #outputTime({ steady, ros }: GuardTime): bigint {
    return this.#node.simulated ? ros : steady;
  }

  /** A timer at `output_rate` that does not drift, although those of Node.js have whole milliseconds. */
  #startInterpolation(): void {
    const { outputRate, config, log } = this.#node;
    if (outputRate === undefined) return;
    const period = 1000 / outputRate;
    let due = performance.now();
    const onTimer = (): void => {
      this.#publishSample(this.#now());
      const now = performance.now();
      due = Math.max(due + period, now);
      this.#outputTimer = setTimeout(onTimer, due - now);
    };
    onTimer();
    log.info(
      `outputs at ${outputRate} Hz; largest step from one message to the next: ${largestSteps(config, outputRate)}`,
    );
  }

  /** The file follows the latch, after the stop action was published. Where that fails, the latch ends with this process. */
  #storeLatch(): void {
    const { latch } = this.#guard;
    if (latch === this.#storedLatch) return;
    this.#storedLatch = latch;
    try {
      if (latch === undefined) this.#latchFile.remove();
      else this.#latchFile.write(latch);
    } catch (error) {
      const sentence = `Expected to keep the latch in ${this.#latchFile.path}, but ${errorMessage(error)}`;
      this.#node.log.error(new Pi05Error('LATCH_FILE', sentence).toString());
    }
  }

  #safetyStatus(): ReturnType<typeof safetyStatus> {
    const { policy } = this.#node;
    const { state, cause } = this.#guard;
    return safetyStatus(`${policy}: safety`, policy, state, cause, this.#server.attached);
  }

  /** Publishes `~/safety` where it changed. */
  #publishStatus(): void {
    const status = this.#safetyStatus();
    const text = JSON.stringify(status);
    if (text === this.#status) return;
    this.#status = text;
    this.#node.publishSafety(status);
  }

  /** The policy that has started this guard has died before it connected, and no other one has. A latch is kept in its file. */
  #endWhenAbandoned(): void {
    const starter = Number(process.env[STARTED_BY]);
    if (this.#attachedOnce || !(starter > 0)) return;
    try {
      process.kill(starter, 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') this.#resolveEnded();
    }
  }

  /** A latch must survive the restart of the policy, and the stop action is repeated first. */
  #endWhenDetached(): void {
    if (!this.#detached || this.#server.attached || this.#guard.repeats || this.#guard.latch !== undefined) return;
    this.#resolveEnded();
  }
}
