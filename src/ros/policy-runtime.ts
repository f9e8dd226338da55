import type { PolicyConfig } from '../config/config.js';
import type { Engine, ModelInfo } from '../engine/engine.js';
import type { Pi05Error, Refusal, FaultCode } from '../errors.js';
import type { Command } from '../frame/frame.js';
import { REPEAT_FOR } from '../guard/guard.js';
import { type InputMessage, policyInputs } from '../messages/inputs.js';
import { LiveFrames } from '../pipeline/live-frames.js';
import { Pipeline } from '../pipeline/pipeline.js';
import type { PipelineStatistics } from '../pipeline/statistics.js';
import type { Policy } from '../policy/policy.js';
import type { ToolGuard } from '../schedule/tool-guard.js';
import { tickPeriod, toMilliseconds } from '../time.js';
import { CameraPoller } from './camera-poller.js';
import { CameraReader } from './camera-reader.js';
import type { GuardLink } from './guard-link.js';
import type { NodeTime } from './node-time.js';
import { Publishers } from './publishers.js';
import type { LifecycleNode, Rcl } from './rcl.js';
import type { NativeRcl } from './rclnodejs-internals.js';
import { type Inputs, subscribe } from './subscriptions.js';

/** A loaded checkpoint: the engine with the weights, the policy with statistics and tokenizer. */
export interface LoadedPolicy {
  readonly engine: Engine;
  readonly policy: Policy;
  /** Undefined where the tool is not limited. */
  readonly tool?: ToolGuard | undefined;
}

export interface RuntimeHandlers {
  readonly onPrompt: (text: string) => void;
  readonly onRefusal: (refusal: Refusal) => void;
  readonly onFault: (fault: Pi05Error<FaultCode>) => void;
  /** Receives everything that is thrown in a callback: refusals of messages that cannot be decoded, internal errors. */
  readonly onError: (error: unknown) => void;
}

/**
 * Connects a loaded checkpoint to the node's topics and to the guard, which publishes the commands. Created by `configure`,
 * closed by `cleanup`.
 */
export class PolicyRuntime {
  /** With resolved topics. */
  readonly resolved: PolicyConfig;
  /** Resolved topics from which a message has arrived. */
  readonly heard: ReadonlySet<string>;
  readonly #node: LifecycleNode;
  readonly #loaded: LoadedPolicy;
  readonly #time: NodeTime;
  readonly #handlers: RuntimeHandlers;
  readonly #pipeline: Pipeline;
  readonly #frames: LiveFrames;
  readonly #publishers: Publishers;
  readonly #inputs: Inputs;
  readonly #link: GuardLink;
  /** The cameras in real time. In simulated time and in lock-step every message counts, so they are subscriptions as all others. */
  readonly #cameras: CameraPoller | undefined;
  #active = false;
  /** Another node publishes on the command topics. */
  #outputsShared = false;
  /** `/clock` has jumped back, and may do so again. */
  #clockJumps = false;
  /** The stop action, from the time when the robot was stopped until it moves again. */
  #stopAction: Command | undefined;
  #repetition: NodeJS.Timeout | undefined;

  /** @param config with topics as configured. @param resolved the same with resolved topics. */
  constructor(
    rcl: Rcl,
    native: NativeRcl,
    node: LifecycleNode,
    config: PolicyConfig,
    resolved: PolicyConfig,
    loaded: LoadedPolicy,
    time: NodeTime,
    link: GuardLink,
    handlers: RuntimeHandlers,
  ) {
    const { policy, engine, tool } = loaded;
    const { onRefusal, onFault, onError } = handlers;
    this.resolved = resolved;
    this.#node = node;
    this.#loaded = loaded;
    this.#time = time;
    this.#link = link;
    this.#handlers = handlers;
    const publishers = new Publishers(node, config);
    this.#publishers = publishers;
    const guard = <T>(action: (value: T) => void): ((value: T) => void) => guarded(action, onError);
    this.#pipeline = new Pipeline(
      resolved,
      policy,
      engine,
      {
        chunk: guard((chunk) => publishers.chunk(chunk)),
        command: (command, cause) => guard(() => this.#command(command, cause))(undefined),
        refusal: guard(onRefusal),
        fault: guard(onFault),
      },
      () => time.now(),
      tool,
    );
    this.#pipeline.setPrompt(String(node.getParameter('prompt').value), time.now());
    this.#frames = new LiveFrames(this.#pipeline, resolved, { now: () => time.now(), inOrder: time.simulated });
    const heard = new Set<string>();
    this.heard = heard;
    const input = {
      active: () => this.#active,
      onArrival: (topic: string) => heard.add(topic),
      onMessage: (message: InputMessage) => this.#offer(message),
      onError,
    };
    const inputs = policyInputs(config, (topic) => node.resolveTopicName(topic));
    const { lockstep } = config.schedule;
    const polled = time.simulated || lockstep ? [] : inputs.filter(({ camera }) => camera !== undefined);
    const subscribed = inputs.filter((one) => !polled.includes(one));
    this.#inputs = subscribe(rcl, native, node, subscribed, lockstep, input);
    this.#cameras =
      polled.length === 0
        ? undefined
        : new CameraPoller(new CameraReader(rcl, `${node.name()}_cameras`, node.namespace(), polled), polled, {
            ...input,
            wanted: () => this.#pipeline.wantsObservation,
          });
  }

  get active(): boolean {
    return this.#active;
  }

  get info(): ModelInfo {
    return this.#loaded.engine.info;
  }

  get statistics(): PipelineStatistics {
    return this.#pipeline.statistics;
  }

  activate(): void {
    this.#publishers.activate();
    // What was published before the activation is dropped.
    this.#cameras?.poll();
    this.#active = true;
    this.#outputsShared = false;
    this.#clockJumps = false;
    this.#stopAction = undefined;
    this.#endRepetition();
    this.#updateBlocked();
    this.#link.activate();
    this.startPipeline();
  }

  /** Starts the pipeline if the node is active and the time is known. The ages of inputs count from then. */
  startPipeline(): void {
    if (this.#active && this.#time.known) this.#pipeline.activate(this.#time.now());
  }

  /**
   * Lets the guard send the stop action, or publishes it where the guard does not confirm it. Resolves, soon, when that is
   * done, with what is known of the stop action.
   */
  async deactivate(): Promise<string> {
    this.#active = false;
    this.#pipeline.deactivate(this.#time.now());
    this.#publishers.deactivate();
    const stopAction = this.#stopAction;
    const acknowledged = await this.#link.deactivate();
    if (acknowledged === true) return 'the stop action was published';
    if (acknowledged === false) return 'the stop action was published, but not every subscriber has acknowledged it';
    if (stopAction === undefined) return 'there was no motion to stop';
    this.#repeat(stopAction);
    return 'the guard did not confirm the stop action, so this process published it';
  }

  /** One control tick. @param now ROS time, ns. @param lateness ns after the tick was due. */
  tick(now: bigint, lateness: bigint): void {
    this.#link.tick();
    // In lock-step the tick waits for its inputs, and those of a reset may be here before its clock.
    if (!this.resolved.schedule.lockstep) this.#inputs.receiveArrived();
    this.#pipeline.tick(now, lateness);
    this.#cameras?.tick();
  }

  /** Stops the robot while another node publishes on the command topics. @param fault undefined when it has gone. */
  shareOutputs(fault: Pi05Error<FaultCode> | undefined): void {
    this.#outputsShared = fault !== undefined;
    this.#updateBlocked();
    if (fault !== undefined) this.#pipeline.stop(this.#time.now(), fault);
  }

  /** The robot stays stopped from a jump of `/clock` until it has settled: a second publisher would move it in jerks. */
  settleClock(settled: boolean): void {
    this.#clockJumps = !settled;
    this.#updateBlocked();
  }

  /** As `Pipeline.stop`, at the present time. */
  stop(fault: Pi05Error<FaultCode>): void {
    this.#pipeline.stop(this.#time.now(), fault);
  }

  /** The guard has stopped the robot at `time`, ROS time in ns, has latched or was released. */
  guardChanged(time: bigint, fault?: Pi05Error<FaultCode>): void {
    this.#stopAction = this.#pipeline.robotStopped(time, fault) ?? this.#stopAction;
    // Commands may pass the guard again.
    if (this.#link.latch === undefined) this.#endRepetition();
    this.#updateBlocked();
  }

  /** The guard is lost: publishes the stop action now and each control period for 2 s. */
  guardLost(fault: Pi05Error<FaultCode>): void {
    if (!this.#active) return;
    this.#updateBlocked();
    this.#pipeline.stop(this.#time.now(), fault);
    // Where the robot was stopped just before, the guard may not have sent it.
    if (this.#repetition === undefined && this.#stopAction !== undefined) this.#repeat(this.#stopAction);
  }

  setPrompt(text: string): void {
    this.#pipeline.setPrompt(text, this.#time.now());
  }

  /** Counts and reports a message that was refused before the pipeline received it. */
  refuse(refusal: Refusal): void {
    this.#pipeline.refuse(refusal, this.#time.now());
  }

  #updateBlocked(): void {
    this.#pipeline.blocked = this.#outputsShared || this.#clockJumps || this.#link.latch !== undefined;
  }

  #command(command: Command, cause: Pi05Error<FaultCode> | undefined): void {
    if (command.reason !== 'stop') {
      this.#stopAction = undefined;
      this.#link.command(command);
      return;
    }
    this.#stopAction = command;
    if (!this.#active) return;
    // Without a cause it is repeated, in lock-step.
    const passedOn = cause === undefined ? this.#link.repeatStop() : this.#link.stop(cause);
    if (!passedOn) this.#repeat(command);
  }

  #repeat(command: Command): void {
    clearInterval(this.#repetition);
    this.#publishers.command(command);
    const { controlRate, schedule } = this.resolved;
    if (schedule.lockstep) return;
    const end = performance.now() + toMilliseconds(REPEAT_FOR);
    this.#repetition = setInterval(
      () => {
        this.#publishers.command(command);
        if (performance.now() >= end) this.#endRepetition();
      },
      toMilliseconds(tickPeriod(controlRate)),
    );
  }

  #endRepetition(): void {
    clearInterval(this.#repetition);
    this.#repetition = undefined;
  }

  /** Resolves when the engine is closed. The topics are disconnected at once. */
  close(): Promise<void> {
    this.#endRepetition();
    for (const subscription of this.#inputs.subscriptions) this.#node.destroySubscription(subscription);
    this.#cameras?.close();
    this.#publishers.destroy();
    return closeLoaded(this.#loaded);
  }

  #offer(message: InputMessage): void {
    switch (message.kind) {
      case 'image':
      case 'compressed_image':
        return this.#frames.offer(message.camera, message.image);
      case 'joint_state':
        return this.#pipeline.offerJoints(message.reading, this.#time.now(), message.topic);
      case 'prompt':
        return this.#handlers.onPrompt(message.text);
    }
  }
}

export async function closeLoaded({ engine, policy }: LoadedPolicy): Promise<void> {
  await Promise.all([engine.close(), policy.close()]);
}

/** Wraps `action` so that everything it throws goes to `onError`. */
export function guarded<T>(action: (value: T) => void, onError: (error: unknown) => void): (value: T) => void {
  return (value) => {
    try {
      action(value);
    } catch (error) {
      onError(error);
    }
  };
}
