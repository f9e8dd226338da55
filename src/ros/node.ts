import { decodeClock } from '../messages/decode.js';
import type { PolicyConfig } from '../config/config.js';
import { NODE_NAME } from '../config/file.js';
import type { Engine, ModelInfo } from '../engine/engine.js';
import { Pi05Error, Refusal, type FaultCode } from '../errors.js';
import { loadPolicy } from '../pipeline/load.js';
import { LiveFrames } from '../pipeline/live-frames.js';
import { Pipeline, type PipelineSink } from '../pipeline/pipeline.js';
import { SimulatedTicker, type Ticker } from '../pipeline/ticker.js';
import type { InputMessage } from '../messages/inputs.js';
import { withResolvedTopics } from '../messages/topics.js';
import { ROS_TYPE } from '../messages/types.js';
import type { Policy } from '../policy/policy.js';
import { SECOND, tickPeriod, toSeconds } from '../time.js';
import { NodeTime, SteadyTicker } from './clock.js';
import { Diagnostics, type Report } from './diagnostics.js';
import { graphFaults } from './graph.js';
import { createLifecycleNode, runTransition, type Transitions } from './lifecycle-node.js';
import { Log } from './log.js';
import { declareParameters } from './parameters.js';
import { Publishers } from './publishers.js';
import { type LifecycleNode, PARAMETER_TYPE, type Rcl, type Subscription } from './rcl.js';
import type { NativeRcl } from './rclnodejs-internals.js';
import { qos, subscribe } from './subscriptions.js';

/** Simulated time that stands still for longer is worth a word, ns. */
const CLOCK_PATIENCE = SECOND;
/** Between looks at what other nodes do, ms. */
const GRAPH_PERIOD = 1000;

/** What `configure` began to load. */
interface Loading {
  readonly done: Promise<boolean>;
  cancelled: boolean;
}

/** What a loaded checkpoint runs with. */
interface Running {
  readonly engine: Engine;
  readonly policy: Policy;
  readonly resolved: PolicyConfig;
  readonly pipeline: Pipeline;
  readonly publishers: Publishers;
  readonly subscriptions: readonly Subscription[];
}

/**
 * The lifecycle node `policy_node`. `configure` loads the checkpoint without blocking and is answered when it is there;
 * `activate` starts the control ticks; leaving `active` by any way publishes the stop action, once.
 */
export class PolicyNode implements Transitions {
  readonly #log: Log;
  readonly #rcl: Rcl;
  readonly #node: LifecycleNode;
  readonly #config: PolicyConfig;
  readonly #time: NodeTime;
  readonly #ticker: Ticker;
  readonly #diagnostics: Diagnostics;
  #loading: Loading | undefined;
  #running: Running | undefined;
  #failure: Pi05Error | undefined;
  /** `start` waits for `configure`. */
  #starting = false;
  #active = false;
  /** What is wrong beside what the pipeline reports, and when the graph was looked at last (ms). */
  #present: readonly Pi05Error<FaultCode>[] = [];
  #graph: { readonly at: number; readonly faults: readonly Pi05Error<FaultCode>[] } | undefined;
  #closing: Promise<void> = Promise.resolve();

  /** @throws Pi05Error CONFIG_* for parameters that are wrong, all of them at once */
  constructor(rcl: Rcl, native: NativeRcl, argv: readonly string[]) {
    this.#rcl = rcl;
    const onError = (error: unknown): void => this.#onError(error);
    const { node, register } = createLifecycleNode(rcl, native, NODE_NAME, argv, onError);
    this.#node = node;
    this.#log = new Log(node.getLogger());
    this.#config = declareParameters(rcl, node, (sentence) => this.#log.warn(sentence));
    const { controlRate, schedule } = this.#config;
    const period = tickPeriod(controlRate);
    this.#time = new NodeTime(node, node.getParameter('use_sim_time').value === true);
    const onTick = (now: bigint, lateness: bigint): void =>
      this.#guard(() => this.#running?.pipeline.tick(now, lateness));
    if (this.#time.simulated) {
      const ticker = new SimulatedTicker(schedule.lockstep ? 0n : period, onTick);
      this.#followClock(ticker);
      this.#ticker = ticker;
    } else {
      this.#ticker = new SteadyTicker(rcl, node, period, onTick);
    }
    this.#diagnostics = new Diagnostics(node, 1000 / controlRate, () => this.#report());
    node.addPostSetParametersCallback((parameters) => {
      const prompt = parameters.find(({ name }) => name === 'prompt')?.value;
      if (typeof prompt === 'string') this.#guard(() => this.#running?.pipeline.setPrompt(prompt, this.#time.now()));
    });
    register(this, () => this.#diagnostics.change());
    node.spin();
  }

  /** Configures and activates if the parameters say so; rejects with why that failed. */
  async start(): Promise<void> {
    if (!this.#config.autostart) return;
    this.#starting = true;
    const configured = runTransition(this.#rcl, (result) => this.#node.configure(result)) && (await this.configured());
    this.#starting = false;
    if (this.#failure !== undefined) throw this.#failure;
    // A lifecycle manager may have been faster.
    if (configured && this.#node.currentState.label === 'inactive') {
      runTransition(this.#rcl, (result) => this.#node.activate(result));
    }
  }

  /** Ends whatever state the node is in; when this resolves the stop action has arrived and the engine is closed. */
  async stop(): Promise<void> {
    if (this.#node.currentState.label !== 'finalized') this.#node.shutdown();
    this.#diagnostics.publish();
    this.#diagnostics.close();
    await this.#closing;
  }

  configure(): boolean {
    this.#failure = undefined;
    const loading: Loading = { cancelled: false, done: Promise.resolve().then(() => this.#load(loading)) };
    this.#loading = loading;
    return true;
  }

  configured(): Promise<boolean> {
    return this.#loading?.done ?? Promise.resolve(this.#running !== undefined);
  }

  activate(): boolean {
    if (this.#running === undefined) {
      this.#log.error(
        `Expected the checkpoint to be loaded, but ${this.#config.checkpoint} still loads: activate later`,
      );
      return false;
    }
    this.#running.publishers.activate();
    // Ages count from activation, which has no time before the first message of /clock.
    if (this.#time.known) this.#running.pipeline.activate(this.#time.now());
    this.#ticker.start();
    this.#active = true;
    this.#graph = undefined;
    this.#log.info(`active: ${this.#config.controlRate} control ticks a second`);
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
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return true;
    for (const subscription of running.subscriptions) this.#node.destroySubscription(subscription);
    running.publishers.destroy();
    this.#closing = close(running);
    return true;
  }

  shutdown(): boolean {
    return this.cleanup();
  }

  /** Stops the control ticks and sends the stop action, if the node is active. */
  #deactivate(): void {
    if (!this.#active || this.#running === undefined) return;
    this.#active = false;
    this.#ticker.stop();
    this.#running.pipeline.deactivate(this.#time.now());
    this.#running.publishers.flush();
    this.#running.publishers.deactivate();
    this.#log.info('inactive: the stop action was sent');
  }

  /** Loads the checkpoint and connects the topics; whether that succeeded and is still wanted. */
  async #load(loading: Loading): Promise<boolean> {
    try {
      await this.#closing;
      const config = this.#config;
      const resolved = withResolvedTopics(config, (topic) => this.#node.resolveTopicName(topic));
      const { engine, policy } = await loadPolicy(resolved);
      if (loading.cancelled) {
        await close({ engine, policy });
        return false;
      }
      this.#loading = undefined;
      this.#running = this.#connect(engine, policy, resolved);
      this.#log.info(describe(engine.info));
      return true;
    } catch (error) {
      if (loading.cancelled) return false;
      this.#loading = undefined;
      this.#failure = asPi05Error(error);
      // Where the node starts itself it ends with this, and whoever started it says so.
      if (!this.#starting) for (const line of this.#failure.toString().split('\n')) this.#log.error(line);
      this.#node.cleanup();
      return false;
    } finally {
      this.#diagnostics.change();
    }
  }

  #connect(engine: Engine, policy: Policy, resolved: PolicyConfig): Running {
    const publishers = new Publishers(this.#node, this.#config);
    const sink: PipelineSink = {
      chunk: (chunk) => this.#guard(() => publishers.chunk(chunk)),
      command: (command) => this.#guard(() => publishers.command(command)),
      refusal: (refusal) => this.#guard(() => this.#onRefusal(refusal)),
      fault: (fault) => this.#guard(() => this.#onFault(fault)),
    };
    const pipeline = new Pipeline(resolved, policy, engine, sink, () => this.#time.now());
    pipeline.setPrompt(String(this.#node.getParameter('prompt').value), this.#time.now());
    const frames = new LiveFrames(pipeline, resolved, () => this.#time.now());
    const subscriptions = subscribe(this.#rcl, this.#node, this.#config, {
      active: () => this.#active,
      onMessage: (message) => this.#onMessage(pipeline, frames, message),
      onError: (error) => this.#onError(error),
    });
    return { engine, policy, resolved, pipeline, publishers, subscriptions };
  }

  #onMessage(pipeline: Pipeline, frames: LiveFrames, message: InputMessage): void {
    switch (message.kind) {
      case 'image':
      case 'compressed_image':
        return frames.offer(message.camera, message.image);
      case 'joint_state':
        return pipeline.offerJoints(message.reading, this.#time.now());
      case 'prompt':
        return this.#setPrompt(message.text);
    }
  }

  /** Sets the parameter, so that whoever asks for it sees what the robot does; its callback tells the pipeline. */
  #setPrompt(text: string): void {
    this.#node.setParameter(new this.#rcl.Parameter('prompt', PARAMETER_TYPE.string, text));
  }

  #followClock(ticker: SimulatedTicker): void {
    const { lockstep } = this.#config.schedule;
    // Only the newest time counts; in lock-step none may be lost.
    const profile = lockstep ? qos(this.#rcl, 100, true) : qos(this.#rcl, 1, false);
    this.#node.createSubscription(ROS_TYPE.Clock, '/clock', { qos: profile, isRaw: true }, (cdr) =>
      this.#guard(() => {
        const now = decodeClock(cdr, '/clock');
        const first = !this.#time.known;
        if (this.#time.set(now)) this.#log.warn('the simulated time went back: starting anew');
        if (first && this.#active) this.#running?.pipeline.activate(now);
        ticker.advance(now);
      }),
    );
  }

  /** Without ticks the robot is told nothing; in lock-step the clock stands while an inference runs. */
  #stillClock(): Pi05Error<FaultCode>[] {
    const { still, known } = this.#time;
    if (still <= CLOCK_PATIENCE || (known && this.#config.schedule.lockstep)) return [];
    const received = `no new time in ${toSeconds(still).toFixed(1)} s; no commands`;
    const sentence = `Expected /clock to advance (use_sim_time is true), received ${received}`;
    return [new Pi05Error('CLOCK_STILL', sentence, '/clock')];
  }

  #graphFaults(resolved: PolicyConfig): readonly Pi05Error<FaultCode>[] {
    const now = performance.now();
    if (this.#graph === undefined || now - this.#graph.at >= GRAPH_PERIOD) {
      this.#graph = { at: now, faults: [] };
      this.#guard(() => (this.#graph = { at: now, faults: graphFaults(this.#node, resolved) }));
    }
    return this.#graph.faults;
  }

  /** What is wrong at this moment, beside what the pipeline reports; logged when it begins. */
  #lookAround(): readonly Pi05Error<FaultCode>[] {
    const running = this.#active ? this.#running : undefined;
    const present = running === undefined ? [] : [...this.#stillClock(), ...this.#graphFaults(running.resolved)];
    const same = (one: Pi05Error) => (other: Pi05Error) => one.code === other.code && one.source === other.source;
    for (const fault of present) {
      if (!this.#present.some(same(fault))) this.#log.warn(fault.toString());
    }
    this.#present = present;
    return present;
  }

  #report(): Report {
    const running = this.#running;
    return {
      present: this.#lookAround(),
      state: this.#loading === undefined ? this.#node.currentState.label : 'loading',
      failure: this.#failure?.toString(),
      checkpoint: this.#config.checkpoint,
      backend: running?.engine.info.backend ?? this.#config.backend,
      statistics: running?.pipeline.statistics,
    };
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#onError(error);
    }
  }

  #onRefusal(refusal: Refusal): void {
    this.#log.coded('warn', refusal.code, refusal.message);
    this.#diagnostics.refusal(refusal);
  }

  #onFault(fault: Pi05Error<FaultCode>): void {
    this.#log.coded('error', fault.code, fault.message);
    this.#diagnostics.fault(fault);
  }

  /** What was thrown in a callback: a message that cannot be decoded, or a mistake of ours. */
  #onError(error: unknown): void {
    if (error instanceof Refusal && this.#active) this.#running?.pipeline.refuse(error, this.#time.now());
    else if (error instanceof Refusal) this.#log.coded('warn', error.code, error.message);
    else this.#log.coded('error', 'INTERNAL', asPi05Error(error).message);
  }
}

function asPi05Error(error: unknown): Pi05Error {
  if (error instanceof Pi05Error) return error as Pi05Error;
  return new Pi05Error('INTERNAL', error instanceof Error ? (error.stack ?? error.message) : String(error));
}

async function close({ engine, policy }: Pick<Running, 'engine' | 'policy'>): Promise<void> {
  await Promise.all([engine.close(), policy.close()]);
}

/** What was concluded about the checkpoint, in one line. */
function describe(info: ModelInfo): string {
  const { family, familyReason, backend, backendReason, parameters, horizon, actionDim } = info;
  // Its advice, to use auto or cpu, has been taken.
  const why = backendReason.replace(/ \(use auto or cpu\)|[;,] (or )?use auto or cpu/, '');
  const on = why === '' ? backend : `${backend}: ${why}`;
  const millions = (parameters / 1e6).toFixed(1);
  return `loaded an ${family} checkpoint (${familyReason}): ${millions} M parameters, chunks of ${horizon} × ${actionDim}, on ${on}`;
}
