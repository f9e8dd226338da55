import type { PolicyConfig } from '../config/config.js';
import type { Engine, ModelInfo } from '../engine/engine.js';
import type { Pi05Error, Refusal, FaultCode } from '../errors.js';
import type { InputMessage } from '../messages/inputs.js';
import { LiveFrames } from '../pipeline/live-frames.js';
import { Pipeline } from '../pipeline/pipeline.js';
import type { PipelineStatistics } from '../pipeline/statistics.js';
import type { Policy } from '../policy/policy.js';
import type { ToolGuard } from '../schedule/tool-guard.js';
import type { NodeTime } from './node-time.js';
import { Publishers } from './publishers.js';
import type { LifecycleNode, Rcl, Subscription } from './rcl.js';
import { subscribe } from './subscriptions.js';

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

/** Connects a loaded checkpoint to the node's topics. Created by `configure`, closed by `cleanup`. */
export class PolicyRuntime {
  /** With resolved topics. */
  readonly resolved: PolicyConfig;
  readonly #node: LifecycleNode;
  readonly #loaded: LoadedPolicy;
  readonly #time: NodeTime;
  readonly #handlers: RuntimeHandlers;
  readonly #pipeline: Pipeline;
  readonly #frames: LiveFrames;
  readonly #publishers: Publishers;
  readonly #subscriptions: readonly Subscription[];
  #active = false;

  /** @param config with topics as configured. @param resolved the same with resolved topics. */
  constructor(
    rcl: Rcl,
    node: LifecycleNode,
    config: PolicyConfig,
    resolved: PolicyConfig,
    loaded: LoadedPolicy,
    time: NodeTime,
    handlers: RuntimeHandlers,
  ) {
    const { policy, engine, tool } = loaded;
    const { onRefusal, onFault, onError } = handlers;
    this.resolved = resolved;
    this.#node = node;
    this.#loaded = loaded;
    this.#time = time;
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
        command: guard((command) => publishers.command(command)),
        refusal: guard(onRefusal),
        fault: guard(onFault),
      },
      () => time.now(),
      tool,
    );
    this.#pipeline.setPrompt(String(node.getParameter('prompt').value), time.now());
    this.#frames = new LiveFrames(this.#pipeline, resolved, { now: () => time.now(), inOrder: time.simulated });
    this.#subscriptions = subscribe(rcl, node, config, {
      active: () => this.#active,
      onMessage: (message) => this.#offer(message),
      onError,
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
    this.#active = true;
    this.startPipeline();
  }

  /** Starts the pipeline if the node is active and the time is known. The ages of inputs count from then. */
  startPipeline(): void {
    if (this.#active && this.#time.known) this.#pipeline.activate(this.#time.now());
  }

  /** Publishes the stop action and blocks until reliable subscribers have acknowledged it. */
  deactivate(): void {
    this.#active = false;
    this.#pipeline.deactivate(this.#time.now());
    this.#publishers.flush();
    this.#publishers.deactivate();
  }

  /** One control tick. @param now ROS time, ns. @param lateness ns after the tick was due. */
  tick(now: bigint, lateness: bigint): void {
    this.#pipeline.tick(now, lateness);
  }

  /** As `Pipeline.stop`, at the present time. */
  stop(fault?: Pi05Error<FaultCode>): void {
    this.#pipeline.stop(this.#time.now(), fault);
  }

  /** While blocked, no inference starts. */
  set blocked(blocked: boolean) {
    this.#pipeline.blocked = blocked;
  }

  setPrompt(text: string): void {
    this.#pipeline.setPrompt(text, this.#time.now());
  }

  /** Counts and reports a message that was refused before the pipeline received it. */
  refuse(refusal: Refusal): void {
    this.#pipeline.refuse(refusal, this.#time.now());
  }

  /** Resolves when the engine is closed. The topics are disconnected at once. */
  close(): Promise<void> {
    for (const subscription of this.#subscriptions) this.#node.destroySubscription(subscription);
    this.#publishers.destroy();
    return closeLoaded(this.#loaded);
  }

  #offer(message: InputMessage): void {
    switch (message.kind) {
      case 'image':
      case 'compressed_image':
        return this.#frames.offer(message.camera, message.image);
      case 'joint_state':
        return this.#pipeline.offerJoints(message.reading, this.#time.now());
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
