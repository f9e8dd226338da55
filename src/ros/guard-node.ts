import { NODE_NAME } from '../config/file.js';
import type { PolicyConfig } from '../config/config.js';
import { Refusal } from '../errors.js';
import type { Command } from '../frame/frame.js';
import type { Measured } from '../guard/limit-check.js';
import { checkEmpty, decodeBool } from '../messages/decode.js';
import { policyInputs } from '../messages/inputs.js';
import { policyOutputs } from '../messages/outputs.js';
import { withResolvedTopics } from '../messages/topics.js';
import { ROS_TYPE } from '../messages/types.js';
import { JointTracker } from '../observation/joint-tracker.js';
import type { RobotModel } from '../robot/urdf.js';
import { SimulatedClock } from '../pipeline/simulated-clock.js';
import { CLOCK_JUMP, toRosTime } from '../time.js';
import type { DiagnosticStatus } from './diagnostic-status.js';
import { fullName, ownGidPrefix } from './graph.js';
import { guardArguments, policyTopic } from './guard-arguments.js';
import { Log } from './log.js';
import { configFromOverrides } from './parameters.js';
import { subscribeRobotDescription } from './robot-description.js';
import type { PlainNode, Publisher, Qos, Rcl } from './rcl.js';
import { createGuardNode, type NativeRcl, takeArrived } from './rclnodejs-internals.js';
import { qosFor, subscribeClock, transientLocal } from './subscriptions.js';

export interface GuardNodeHandlers {
  /** `~/stop` was called, or `true` arrived on its topic. @param source which of the two. */
  readonly onStop: (source: string) => void;
  /** `~/resume` was called. @returns its response. */
  readonly onResume: () => { readonly success: boolean; readonly message: string };
  readonly onHeartbeat: () => void;
  /** A robot description has arrived. */
  readonly onRobotModel: (model: RobotModel) => void;
  /** `/clock` has brought a time that is used, with `use_sim_time`. */
  readonly onClock: () => void;
  /** Receives everything else that is thrown in a callback. */
  readonly onError: (error: unknown) => void;
}

/**
 * The guard's node: `<policy>_guard` in the policy's namespace, with the policy's parameters and topics. It has the publishers of
 * the outputs, no parameter services and no images.
 */
export class GuardNode {
  /** With resolved topics. */
  readonly config: PolicyConfig;
  readonly simulated: boolean;
  /** Rate at which commands are interpolated, Hz; undefined where they are not. */
  readonly outputRate: number | undefined;
  /** The policy's full name. */
  readonly policy: string;
  readonly name: string;
  /** See `ownGidPrefix`. */
  readonly gidPrefix: string;
  readonly log: Log;
  readonly #node: PlainNode;
  readonly #outputs: readonly { readonly publisher: Publisher; readonly publish: (command: Command) => void }[];
  readonly #safety: Publisher;
  readonly #diagnostics: Publisher;
  readonly #onError: (error: unknown) => void;
  /** The newest accepted joint states. */
  readonly #joints: JointTracker;
  readonly #simulatedClock = new SimulatedClock();
  /** What `readRosTime` returned last. */
  #rosTime = 0n;

  /** @param argv the policy's ROS arguments. @throws Pi05Error CONFIG_*. */
  constructor(rcl: Rcl, native: NativeRcl, argv: readonly string[], handlers: GuardNodeHandlers) {
    const { policyName } = guardArguments(argv);
    this.#onError = (error) => {
      // The policy reports refused messages.
      if (!(error instanceof Refusal)) handlers.onError(error);
    };
    const { node, given } = createGuardNode(rcl, native, `${NODE_NAME}_guard`, {
      onError: this.#onError,
      onMalformed: (reason) => this.log.throttled('warn', 'MESSAGE_DATA', reason),
    });
    this.#node = node;
    this.log = new Log(node.getLogger());
    this.name = node.getFullyQualifiedName();
    this.policy = fullName(node.namespace(), policyName);
    const { config, simulated } = configFromOverrides(this.policy, given, argv);
    this.simulated = simulated;
    this.config = withResolvedTopics(config, (topic) => node.resolveTopicName(policyTopic(topic, policyName)));
    this.#joints = new JointTracker(this.config);
    this.outputRate = config.schedule.lockstep ? undefined : config.outputRate;
    this.#outputs = policyOutputs(this.config, this.outputRate).commands.map(({ topic, type, build }) => {
      const publisher = node.createPublisher(type, topic);
      const publish = (command: Command): void => {
        const message = build(command);
        if (message !== undefined) publisher.publish(message);
      };
      return { publisher, publish };
    });
    this.gidPrefix = ownGidPrefix(node);
    const latest = { qos: transientLocal(rcl) };
    this.#safety = node.createPublisher(ROS_TYPE.DiagnosticStatus, `${this.policy}/safety`, latest);
    this.#diagnostics = node.createPublisher(ROS_TYPE.DiagnosticArray, '/diagnostics');
    this.#subscribe(rcl, native, handlers);
    this.#serve(handlers);
  }

  /** Starts the callbacks. */
  spin(): void {
    this.#node.spin();
  }

  /** ROS time, ns; with `use_sim_time` 0 before the first time of `/clock`. When it has jumped back, the joint states are forgotten. */
  readRosTime(): bigint {
    const now = this.simulated ? (this.#simulatedClock.time ?? 0n) : this.#node.getClock().now().nanoseconds;
    if (now < this.#rosTime - CLOCK_JUMP) this.#joints.reset(now);
    this.#rosTime = now;
    return now;
  }

  /** The next joint states are the first. */
  forgetJoints(): void {
    this.#joints.reset(this.readRosTime());
  }

  /** @param config with the limits of the robot description. */
  setLimits(config: PolicyConfig): void {
    this.#joints.setLimits(config);
  }

  /** @param ros @param steady now, ns. @returns the newest joint positions; undefined before the first. */
  measured(ros: bigint, steady: bigint): Measured | undefined {
    const ages = this.#joints.ages((stamp, arrived) => {
      const byStamp = ros - stamp;
      // With use_sim_time the time on the wall says nothing about the age.
      const byArrival = this.simulated ? 0n : steady - arrived;
      const age = byStamp > byArrival ? byStamp : byArrival;
      return age > 0n ? age : 0n;
    });
    const positions = this.#joints.newestMeasured()?.positions;
    return ages === undefined || positions === undefined ? undefined : { positions, ...ages };
  }

  /**
   * Publishes on every output whose values are known. An output that fails does not keep the others from it.
   * @param which `chunks`: only those of type `joint_trajectory_chunk`.
   */
  publish(command: Command, which: 'all' | 'chunks' = 'all'): void {
    const { joints } = this.config.action;
    for (const [index, { publish }] of this.#outputs.entries()) {
      const { joints: names, type } = this.config.outputs[index]!;
      if (which === 'chunks' && type !== 'joint_trajectory_chunk') continue;
      if (joints.some(({ name }, j) => names.includes(name) && Number.isNaN(command.values[j]))) continue;
      try {
        publish(command);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  publishSafety(status: DiagnosticStatus): void {
    this.#safety.publish(status);
    this.publishDiagnostics(status);
  }

  publishDiagnostics(status: DiagnosticStatus): void {
    const stamp = toRosTime(this.#node.getClock().now().nanoseconds);
    const named = { ...status, name: `${this.name}: safety` };
    this.#diagnostics.publish({ header: { stamp, frame_id: '' }, status: [named] });
  }

  /** Blocks until reliable subscribers have the last messages. @param timeout ns per output. @returns whether all have. */
  flush(timeout: bigint): boolean {
    return this.#outputs.map(({ publisher }) => publisher.waitForAllAcked(timeout)).every(Boolean);
  }

  #subscribe(rcl: Rcl, native: NativeRcl, handlers: GuardNodeHandlers): void {
    const { config } = this;
    const { lockstep } = config.schedule;
    /** Returns a function that receives the messages that have arrived. */
    const subscribe = (type: string, topic: string, qos: Qos, onMessage: (cdr: Buffer) => void): (() => void) => {
      const receive = (cdr: Buffer): void => {
        try {
          onMessage(cdr);
        } catch (error) {
          this.#onError(error);
        }
      };
      const subscription = this.#node.createSubscription(type, topic, { qos, isRaw: true }, receive);
      return () => takeArrived(native, subscription, qos.depth).forEach(receive);
    };
    const receiveJoints: (() => void)[] = [];
    for (const { kind, type, topic, delivery, decode } of policyInputs(config)) {
      if (kind !== 'joint_state') continue;
      const receiveArrived = subscribe(type, topic, qosFor(rcl, delivery, lockstep), (cdr) => {
        const message = decode(cdr);
        if (message.kind !== 'joint_state') return;
        this.#joints.update(message.reading, message.topic, this.readRosTime(), process.hrtime.bigint());
      });
      receiveJoints.push(receiveArrived);
    }
    // A reliable subscription does not receive from a best-effort publisher, and a best-effort one may lose messages.
    const stop = `${this.policy}/stop`;
    for (const delivery of ['reliable', 'sensor_data'] as const) {
      subscribe(ROS_TYPE.Bool, stop, qosFor(rcl, delivery, false), (cdr) => {
        const received = readStop(cdr, stop);
        if (received !== undefined)
          handlers.onStop(`Expected no emergency stop, received ${received} on the topic ${stop}`);
      });
    }
    const description = config.robotDescription.topic;
    if (description !== '') {
      const onError = (error: Error): void => this.log.error(String(error));
      subscribeRobotDescription(rcl, this.#node, description, handlers.onRobotModel, onError);
    }
    const { heartbeatTopic } = config.safety;
    if (heartbeatTopic !== '') {
      subscribe(ROS_TYPE.Empty, heartbeatTopic, qosFor(rcl, 'sensor_data', false), (cdr) => {
        try {
          checkEmpty(cdr, heartbeatTopic);
        } catch (error) {
          // The policy, which reports what it refuses, does not subscribe to this topic.
          if (error instanceof Refusal) this.log.throttled('warn', error.code, error.message);
          throw error;
        }
        handlers.onHeartbeat();
      });
    }
    if (!this.simulated) return;
    const onTime = (now: bigint): void => {
      if (this.#simulatedClock.receive(now) === 'older') return;
      // Those that were published before this time, which comes first on a busy machine.
      if (!lockstep) receiveJoints.forEach((receiveArrived) => receiveArrived());
      handlers.onClock();
    };
    subscribeClock(rcl, this.#node, lockstep, onTime, this.#onError);
  }

  #serve({ onStop, onResume }: GuardNodeHandlers): void {
    const stop = `${this.policy}/stop`;
    this.#node.createService(ROS_TYPE.Trigger, stop, {}, (_, response) => {
      onStop(`Expected no emergency stop, received a call of ${stop}`);
      response.send({ ...response.template, success: true, message: `stopped until ${this.policy}/resume` });
    });
    this.#node.createService(ROS_TYPE.Trigger, `${this.policy}/resume`, {}, (_, response) => {
      response.send({ ...response.template, ...onResume() });
    });
  }
}

/** @returns what stops the robot: true, and a message that cannot be read, since it may have been true; undefined for false. */
function readStop(cdr: Buffer, topic: string): string | undefined {
  try {
    return decodeBool(cdr, topic) ? 'true' : undefined;
  } catch {
    return `${cdr.length} bytes that are no std_msgs/Bool`;
  }
}
