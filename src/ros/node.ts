import type { PolicyConfig } from '../config/config.js';
import { NODE_NAME } from '../config/file.js';
import type { ModelInfo } from '../engine/engine.js';
import { errorMessage, Pi05Error, Refusal, type FaultCode } from '../errors.js';
import { configHash } from '../guard/protocol.js';
import { OwnPublishers } from '../guard/own-publishers.js';
import { guardSocketPath } from '../guard/socket.js';
import { withResolvedTopics } from '../messages/topics.js';
import { loadPolicy } from '../pipeline/load.js';
import type { Ticker } from '../pipeline/ticker.js';
import { tickPeriod } from '../time.js';
import { ClockTicker } from './clock-ticker.js';
import type { NodeReport } from './diagnostic-status.js';
import { Diagnostics } from './diagnostics.js';
import { withRobotLimits } from '../robot/limits.js';
import { createToolGuard } from '../schedule/tool-guard.js';
import { FaultMonitor } from './fault-monitor.js';
import { ownGidPrefix, PublisherNames, withPublishers } from './graph.js';
import { GuardLink } from './guard-link.js';
import { createLifecycleNode, runTransition, type Transitions } from './lifecycle-node.js';
import { Log } from './log.js';
import { NodeTime } from './node-time.js';
import { declareParameters } from './parameters.js';
import { robotModel } from './robot-description.js';
import { closeLoaded, guarded, type LoadedPolicy, PolicyRuntime } from './policy-runtime.js';
import { type LifecycleNode, PARAMETER_TYPE, type Rcl } from './rcl.js';
import type { NativeRcl } from './rclnodejs-internals.js';
import { NodeServices } from './services/node-services.js';
import { SteadyTicker } from './steady-ticker.js';
import { subscribeClock } from './subscriptions.js';

/** Time between two attempts to activate a node with `autostart`, ms. */
const RETRY_ACTIVATION_MS = 2000;

/** A checkpoint that is being loaded. */
interface Loading {
  /** Resolves to whether the checkpoint was loaded and connected. Never rejects. */
  readonly done: Promise<boolean>;
  cancelled: boolean;
}

/**
 * The lifecycle node `policy_node`. `configure` starts loading the checkpoint without blocking, and its request is answered
 * when the loading has ended. `activate` starts the control ticks. Every transition out of `active` publishes the stop
 * action once.
 */
export class PolicyNode implements Transitions {
  readonly #log: Log;
  readonly #rcl: Rcl;
  readonly #native: NativeRcl;
  readonly #node: LifecycleNode;
  readonly #config: PolicyConfig;
  readonly #time: NodeTime;
  readonly #ticker: Ticker;
  readonly #monitor: FaultMonitor;
  readonly #diagnostics: Diagnostics;
  readonly #publisherNames: PublisherNames;
  /** Undefined where the topics are wrong, which `configure` reports. */
  readonly #link: GuardLink | undefined;
  /** Resolves when the guard has accepted this policy; rejects with the reason where it does not. */
  readonly #guardReady: Promise<void>;
  readonly #services: NodeServices;
  readonly #ownPublishers: OwnPublishers;
  #loading: Loading | undefined;
  #runtime: PolicyRuntime | undefined;
  /** Why the last loading failed. */
  #failure: Pi05Error | undefined;
  /** Whether `start` is waiting for the loading. */
  #starting = false;
  /** After `stop` was called, rclnodejs may be shut down. */
  #ending = false;
  /** Whether the last activation was refused because another node publishes on the command topics. */
  #outputsShared = false;
  /** Resolves when the stop action of the last deactivation was sent. */
  #stopping: Promise<void> = Promise.resolve();
  /** Resolves when the engine of the last runtime is closed. */
  #closing: Promise<void> = Promise.resolve();

  /** @param argv the arguments after `pi05 node`. @throws Pi05Error CONFIG_* with all problems of the parameters. */
  constructor(rcl: Rcl, native: NativeRcl, argv: readonly string[]) {
    this.#rcl = rcl;
    this.#native = native;
    const onError = (error: unknown): void => this.#onError(error);
    const { node, register } = createLifecycleNode(rcl, native, NODE_NAME, argv, {
      onError,
      onMalformed: (reason) => this.#refuseRequest(reason),
      onRejectedTransition: (reason) => this.#log.throttled('warn', 'INVALID_ARGUMENT', reason),
    });
    this.#node = node;
    this.#log = new Log(node.getLogger());
    this.#config = declareParameters(rcl, node, (sentence) => this.#log.warn(sentence));
    const { controlRate, schedule } = this.#config;
    this.#time = new NodeTime(node, node.getParameter('use_sim_time').value === true);
    this.#ticker = this.#createTicker();
    const periodMs = 1000 / controlRate;
    this.#monitor = new FaultMonitor(node, this.#time, schedule.lockstep, periodMs, this.#log, {
      onChange: () => this.#diagnostics.publishChange(),
      onError,
    });
    this.#publisherNames = new PublisherNames(node);
    this.#diagnostics = new Diagnostics(node, this.#time, periodMs, () => this.#report());
    node.addPostSetParametersCallback((parameters) => {
      const prompt = parameters.find(({ name }) => name === 'prompt')?.value;
      if (typeof prompt === 'string') this.#guard(() => this.#runtime?.setPrompt(prompt));
    });
    const socketPath = guardSocketPath(node.getFullyQualifiedName(), process.env);
    this.#ownPublishers = new OwnPublishers(socketPath);
    this.#ownPublishers.add(ownGidPrefix(node));
    this.#link = this.#createLink(argv, socketPath);
    this.#guardReady = this.#link?.open() ?? Promise.resolve();
    this.#guardReady.catch(() => undefined); // `#load` reports it
    register(this, () => this.#diagnostics.publishChange());
    this.#services = new NodeServices(rcl, node, this.#log, argv, (sentence) => this.#refuseRequest(sentence));
    node.spin();
  }

  /**
   * With `autostart`, configures and activates the node; tries again while another node publishes on the command topics, because one
   * that was killed stays in the ROS graph for a while. @throws Pi05Error if loading fails.
   */
  async start(): Promise<void> {
    if (!this.#config.autostart) return;
    this.#starting = true;
    const configured = runTransition(this.#rcl, (result) => this.#node.configure(result)) && (await this.configured());
    this.#starting = false;
    if (this.#failure !== undefined) throw this.#failure;
    if (!configured) return;
    // A lifecycle manager may have changed the state.
    while (!this.#ending && this.#node.currentState.label === 'inactive') {
      runTransition(this.#rcl, (result) => this.#node.activate(result));
      if (!this.#outputsShared) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_ACTIVATION_MS).unref());
    }
  }

  /** Shuts the node down from any state. Resolves when the stop action was sent, the guard has ended and the engine is closed. */
  async stop(): Promise<void> {
    this.#ending = true;
    if (this.#node.currentState.label !== 'finalized') this.#node.shutdown();
    await this.#stopping;
    await this.#link?.close();
    this.#diagnostics.publish();
    this.#diagnostics.close();
    await this.#services.close();
    await this.#closing;
  }

  configure(): boolean {
    this.#failure = undefined;
    const loading: Loading = { cancelled: false, done: Promise.resolve().then(() => this.#load(loading)) };
    this.#loading = loading;
    return true;
  }

  configured(): Promise<boolean> {
    return this.#loading?.done ?? Promise.resolve(this.#runtime !== undefined);
  }

  activate(): boolean {
    const { checkpoint, controlRate } = this.#config;
    if (this.#runtime === undefined) {
      this.#log.error(`Expected a loaded checkpoint, but ${checkpoint} is still loading: activate later`);
      return false;
    }
    if (this.#link?.lost !== undefined) {
      this.#log.error(`${this.#link.lost.toString()}; activate again when there is a guard`);
      return false;
    }
    const runtime = this.#runtime;
    const isOwn = (prefix: string): boolean => this.#ownPublishers.has(prefix);
    const shared = this.#monitor.start(runtime.resolved, isOwn, (fault) => runtime.shareOutputs(fault));
    this.#outputsShared = shared.length > 0;
    if (this.#outputsShared) {
      for (const fault of shared) this.#log.error(`${fault.toString()}, then activate again`);
      return false;
    }
    runtime.activate();
    this.#ticker.start();
    this.#log.info(`active: control ticks at ${controlRate} Hz`);
    return true;
  }

  deactivate(): boolean {
    this.#deactivate();
    return true;
  }

  cleanup(): boolean {
    this.#deactivate();
    if (this.#loading !== undefined) this.#loading.cancelled = true;
    this.#loading = undefined;
    const runtime = this.#runtime;
    this.#runtime = undefined;
    if (runtime !== undefined) this.#closing = this.#stopping.then(() => runtime.close());
    return true;
  }

  shutdown(): boolean {
    return this.cleanup();
  }

  stopped(): Promise<void> {
    return this.#stopping;
  }

  #deactivate(): void {
    if (this.#runtime === undefined || !this.#runtime.active) return;
    this.#ticker.stop();
    this.#monitor.stop();
    this.#stopping = this.#runtime.deactivate().then(
      (how) => this.#log.info(`inactive: ${how}`),
      (error: unknown) => this.#onError(error),
    );
  }

  /** Loads the checkpoint and connects the topics. @returns whether that succeeded and was not cancelled. */
  async #load(loading: Loading): Promise<boolean> {
    try {
      await this.#closing;
      const named = withResolvedTopics(this.#config, (topic) => this.#node.resolveTopicName(topic));
      const model = await robotModel(this.#rcl, this.#node, named, (sentence) => this.#log.info(sentence));
      const { config: resolved, disagreement } = withRobotLimits(named, model);
      if (disagreement !== undefined) this.#log.warn(disagreement);
      const tool = createToolGuard(resolved, model);
      const loaded = { ...(await loadPolicy(resolved)), tool };
      await this.#guardReady.catch(async (error: unknown) => {
        await closeLoaded(loaded);
        throw error;
      });
      if (loading.cancelled) {
        await closeLoaded(loaded);
        return false;
      }
      this.#loading = undefined;
      this.#runtime = this.#connect(loaded, resolved);
      this.#log.info(describeModel(this.#runtime.info));
      return true;
    } catch (error) {
      if (loading.cancelled) return false;
      this.#loading = undefined;
      this.#failure = asPi05Error(error);
      // `start` throws it, and its caller reports it.
      if (!this.#starting) for (const line of this.#failure.toString().split('\n')) this.#log.error(line);
      this.#node.cleanup();
      return false;
    } finally {
      this.#diagnostics.publishChange();
    }
  }

  #connect(loaded: LoadedPolicy, resolved: PolicyConfig): PolicyRuntime {
    const link = this.#link!;
    return new PolicyRuntime(this.#rcl, this.#native, this.#node, this.#config, resolved, loaded, this.#time, link, {
      // Setting the parameter changes the prompt through the parameter callback, so that `ros2 param get` shows the new one.
      onPrompt: (text) => this.#node.setParameter(new this.#rcl.Parameter('prompt', PARAMETER_TYPE.string, text)),
      onRefusal: (refusal) => this.#onRefusal(refusal),
      onFault: (fault) => this.#onFault(fault),
      onError: (error) => this.#onError(error),
    });
  }

  #createLink(argv: readonly string[], path: string): GuardLink | undefined {
    let resolved: PolicyConfig;
    try {
      resolved = withResolvedTopics(this.#config, (topic) => this.#node.resolveTopicName(topic));
    } catch {
      return undefined;
    }
    const node = this.#node.getFullyQualifiedName();
    const options = {
      node,
      argv,
      path,
      config: configHash(resolved, this.#time.simulated),
      timeout: resolved.schedule.lockstep ? undefined : resolved.safety.commandTimeout,
    };
    return new GuardLink(options, {
      onStopped: (fault, time) => this.#runtime?.guardChanged(time, fault),
      onLatched: ({ code, message }) => {
        this.#log.error(`${code}: ${message}; no command passes the guard until ~/resume`);
        this.#runtime?.guardChanged(this.#time.now());
        this.#diagnostics.publishChange();
      },
      onReleased: (time) => {
        this.#log.warn('~/resume: commands pass the guard again');
        this.#runtime?.guardChanged(time);
        this.#diagnostics.publishChange();
      },
      onLost: (fault) => {
        this.#runtime?.guardLost(fault);
        this.#diagnostics.publishChange();
      },
      onError: (error) => this.#log.throttled('error', 'GUARD_LINK', errorMessage(error)),
    });
  }

  /** Ticks follow `/clock` with `use_sim_time`, else the steady clock. */
  #createTicker(): Ticker {
    const { controlRate, schedule } = this.#config;
    const period = tickPeriod(controlRate);
    const onTick = (now: bigint, lateness: bigint): void => this.#guard(() => this.#runtime?.tick(now, lateness));
    if (!this.#time.simulated) return new SteadyTicker(this.#rcl, this.#node, period, onTick);
    const ticker = new ClockTicker(this.#time, controlRate, schedule.lockstep, {
      onTick,
      onFault: (fault) => this.#onFault(fault),
      onStill: (fault) => this.#guard(() => this.#runtime?.stop(fault)),
      onSettled: (settled) => this.#guard(() => this.#runtime?.settleClock(settled)),
    });
    const onTime = (now: bigint): void => {
      const step = this.#time.set(now);
      if (step === 'reset') this.#log.warn('simulated time went back: inputs and plan are reset');
      if (step === 'first') this.#runtime?.startPipeline();
      ticker.receive(now, step);
    };
    subscribeClock(this.#rcl, this.#node, schedule.lockstep, onTime, (error) => this.#onError(error));
    return ticker;
  }

  #report(): NodeReport {
    const runtime = this.#runtime;
    return {
      present:
        runtime?.active === true
          ? this.#monitor.check(runtime.resolved, runtime.heard)
          : this.#monitor.check(undefined),
      state: this.#loading === undefined ? this.#node.currentState.label : 'loading',
      failure: this.#failure?.toString(),
      checkpoint: this.#config.checkpoint,
      backend: runtime?.info.backend ?? this.#config.backend,
      statistics: runtime?.statistics,
      latch: this.#link?.latch,
    };
  }

  #guard(action: () => void): void {
    guarded(action, (error) => this.#onError(error))(undefined);
  }

  #onRefusal(received: Refusal): void {
    const refusal = withPublishers(received, this.#publisherNames);
    this.#log.throttled('warn', refusal.code, refusal.message);
    this.#diagnostics.addRefusal(refusal);
  }

  #refuseRequest(sentence: string): void {
    this.#onError(new Refusal('MESSAGE_DATA', sentence, 'services'));
  }

  #onFault(fault: Pi05Error<FaultCode>): void {
    this.#log.throttled('error', fault.code, fault.message);
    this.#diagnostics.addFault(fault);
  }

  /** Receives what is thrown in a callback: the refusal of a message that cannot be decoded, or an internal error. */
  #onError(error: unknown): void {
    if (error instanceof Refusal && this.#runtime?.active === true) this.#runtime.refuse(error);
    else if (error instanceof Refusal) this.#log.throttled('warn', error.code, error.message);
    else this.#log.throttled('error', 'INTERNAL', asPi05Error(error).message);
  }
}

function asPi05Error(error: unknown): Pi05Error {
  if (error instanceof Pi05Error) return error as Pi05Error;
  return new Pi05Error('INTERNAL', error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** One line about the checkpoint and the backend that runs it. */
function describeModel(info: ModelInfo): string {
  const { family, familyReason, backend, backendReason, parameters, horizon, actionDim } = info;
  // The reason ends with the advice to use auto or cpu, which does not apply here: auto has chosen the backend.
  const reason = backendReason.replace(/ \(use auto or cpu\)|[;,] (or )?use auto or cpu/, '');
  const backendText = reason === '' ? backend : `${backend}: ${reason}`;
  const size = `${(parameters / 1e6).toFixed(1)} M parameters, chunks of ${horizon} × ${actionDim}`;
  return `loaded a checkpoint of the ${family} family (${familyReason}): ${size}, on ${backendText}`;
}
