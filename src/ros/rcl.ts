/**
 * Types of the documented part of rclnodejs that this package uses. rclnodejs generates its own types when it is built, and
 * they are `any` where that failed. Messages are plain objects with ROS's field names. Typed arrays in them must own their
 * buffers: a view with an offset is published from the start of its buffer.
 */

export interface Time {
  readonly nanoseconds: bigint;
}

export interface Clock {
  now(): Time;
}

export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  fatal(message: string): void;
}

/** A logger by its name, which may be that of another component. */
export interface NamedLogger {
  readonly loggerEffectiveLevel: number;
  /** @throws Error for a level that does not exist. */
  setLoggerLevel(level: number): void;
}

export interface Publisher {
  readonly topic: string;
  publish(message: object): void;
  /** Blocks until all reliable subscribers have acknowledged all messages. @param timeout ns. @returns false on timeout. */
  waitForAllAcked(timeout: bigint): boolean;
}

export interface LifecyclePublisher extends Publisher {
  activate(): void;
  deactivate(): void;
}

export interface Subscription {
  readonly topic: string;
}

export interface TimerInfo {
  /** ns on the timer's clock. */
  readonly expectedCallTime: bigint;
  readonly actualCallTime: bigint;
}

export interface Timer {
  cancel(): void;
}

export interface Parameter {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

export interface ParameterDescriptor {
  readonly name: string;
  readonly type: number;
  readonly description: string;
  readonly readOnly: boolean;
  additionalConstraints: string;
  toMessage(): object;
}

export interface SetParametersResult {
  readonly successful: boolean;
  readonly reason: string;
}

export interface State {
  readonly id: number;
  readonly label: string;
}

export interface ServiceResponse {
  readonly template: Record<string, unknown>;
  send(response: object): void;
}

/** The QoS of a publisher or a subscription, with the numbers of rmw's enumerations. */
export interface EndpointQos {
  readonly reliability: number;
  readonly durability: number;
  readonly deadline: { readonly seconds: bigint; readonly nanoseconds: number };
  readonly liveliness: number;
}

/** A publisher or a subscription in the ROS graph. */
export interface EndpointInfo {
  readonly node_name: string;
  readonly node_namespace: string;
  readonly topic_type: string;
  /** Bytes; different for every publisher on the network. */
  readonly endpoint_gid: readonly number[];
  readonly qos_profile: EndpointQos;
}

export interface LifecycleNode {
  readonly currentState: State;
  /** Those that the current state allows. */
  readonly availableTransitions: readonly { readonly transition: State }[];
  name(): string;
  namespace(): string;
  getFullyQualifiedName(): string;
  getLogger(): Logger;
  getClock(): Clock;
  resolveTopicName(topic: string): string;
  getNodeNamesAndNamespaces(): readonly { readonly name: string; readonly namespace: string }[];
  countPublishers(topic: string): number;
  countSubscribers(topic: string): number;
  getPublishersInfoByTopic(topic: string): readonly EndpointInfo[];
  getSubscriptionsInfoByTopic(topic: string): readonly EndpointInfo[];
  spin(timeoutMs?: number): void;

  createPublisher(type: string, topic: string, options?: { qos?: Qos }): Publisher;
  createLifecyclePublisher(type: string, topic: string, options?: { qos?: Qos }): LifecyclePublisher;
  destroyPublisher(publisher: Publisher): void;
  createSubscription(
    type: string,
    topic: string,
    options: { qos?: Qos; isRaw: true },
    callback: (cdr: Buffer) => void,
  ): Subscription;
  destroySubscription(subscription: Subscription): void;
  createTimer(period: bigint, callback: (info: TimerInfo) => void, clock: Clock): Timer;
  destroyTimer(timer: Timer): void;

  declareParameter(parameter: Parameter, descriptor: ParameterDescriptor, ignoreOverride: boolean): Parameter;
  hasParameter(name: string): boolean;
  getParameter(name: string): Parameter;
  getParameterNames(): string[];
  getParameterDescriptor(name: string): ParameterDescriptor;
  setParameter(parameter: Parameter): SetParametersResult;
  setParametersAtomically(parameters: readonly Parameter[]): SetParametersResult;
  addPostSetParametersCallback(callback: (parameters: readonly Parameter[]) => void): void;
  getParameterOverrides(): Parameter[];

  registerOnConfigure(callback: () => number): void;
  registerOnActivate(callback: () => number): void;
  registerOnDeactivate(callback: () => number): void;
  registerOnCleanup(callback: () => number): void;
  registerOnShutdown(callback: () => number): void;
  registerOnError(callback: () => number): void;
  configure(result?: CallbackReturnValue): State;
  activate(result?: CallbackReturnValue): State;
  deactivate(result?: CallbackReturnValue): State;
  cleanup(result?: CallbackReturnValue): State;
  shutdown(result?: CallbackReturnValue): State;
}

/** The part of every node that the guard's node uses. */
export type PlainNode = Pick<
  LifecycleNode,
  | 'namespace'
  | 'getFullyQualifiedName'
  | 'getLogger'
  | 'getClock'
  | 'resolveTopicName'
  | 'spin'
  | 'createPublisher'
  | 'destroyPublisher'
  | 'getPublishersInfoByTopic'
  | 'createSubscription'
> & {
  createService(
    type: string,
    name: string,
    options: object,
    callback: (request: object, response: ServiceResponse) => void,
  ): object;
};

/** A node without a lifecycle, which is spun by hand. */
export interface CameraNode extends Pick<LifecycleNode, 'createSubscription'> {
  /** Calls the callbacks of what is ready; takes one message of each subscription. @param timeoutMs 0 does not wait. */
  spinOnce(timeoutMs: number): void;
  destroy(): void;
}

export interface CallbackReturnValue {
  readonly value: number;
  isSuccess(): boolean;
}

export interface Qos {
  readonly depth: number;
}

/** The module `rclnodejs`. */
export interface Rcl {
  init(context: undefined, argv: readonly string[]): Promise<void>;
  shutdown(): void;
  removeSignalHandlers(): void;
  removeROSArgs(argv: readonly string[]): string[];
  readonly lifecycle: {
    readonly LifecycleNode: new (name: string, namespace: string, context: undefined, options: object) => LifecycleNode;
    readonly CallbackReturnValue: new () => CallbackReturnValue;
    readonly CallbackReturnCode: { readonly SUCCESS: number; readonly FAILURE: number; readonly ERROR: number };
  };
  readonly Node: new (
    name: string,
    namespace: string,
    context: undefined,
    options: object,
    args?: readonly string[],
    useGlobalArguments?: boolean,
  ) => object;
  readonly NodeOptions: new () => {
    enableRosout: boolean;
    startParameterServices: boolean;
    startTypeDescriptionService: boolean;
  };
  readonly logging: { getLogger(name: string): NamedLogger };
  readonly Clock: new (type: number) => Clock;
  readonly ClockType: { readonly STEADY_TIME: number };
  readonly Parameter: new (name: string, type: number, value: unknown) => Parameter;
  readonly ParameterDescriptor: new (
    name: string,
    type: number,
    description: string,
    readOnly: boolean,
  ) => ParameterDescriptor;
  readonly QoS: (new (history: number, depth: number, reliability: number, durability: number) => Qos) & {
    readonly HistoryPolicy: { readonly RMW_QOS_POLICY_HISTORY_KEEP_LAST: number };
    readonly ReliabilityPolicy: {
      readonly RMW_QOS_POLICY_RELIABILITY_RELIABLE: number;
      readonly RMW_QOS_POLICY_RELIABILITY_BEST_EFFORT: number;
    };
    readonly DurabilityPolicy: {
      readonly RMW_QOS_POLICY_DURABILITY_VOLATILE: number;
      readonly RMW_QOS_POLICY_DURABILITY_TRANSIENT_LOCAL: number;
    };
  };
}

/** `rcl_interfaces/msg/ParameterType`. */
export const PARAMETER_TYPE = {
  not_set: 0,
  bool: 1,
  integer: 2,
  double: 3,
  string: 4,
  bool_array: 6,
  integer_array: 7,
  double_array: 8,
  string_array: 9,
} as const;
