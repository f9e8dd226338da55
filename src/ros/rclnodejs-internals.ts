import {
  type CameraNode,
  type LifecycleNode,
  type Logger,
  type Parameter,
  type ParameterDescriptor,
  PARAMETER_TYPE,
  type PlainNode,
  type Publisher,
  type Rcl,
  type ServiceResponse,
  type SetParametersResult,
  type Subscription,
} from './rcl.js';

/**
 * All uses of rclnodejs beyond its documented API (its `types/`), with the places in rclnodejs 2.2.0 that define them. No
 * other file uses undocumented members. `test/unit/ros/rclnodejs-internals.test.ts` fails when the installed version lacks
 * a member or no longer calls it, since an override that nothing calls would have no effect. The file is long because it is the only one.
 */

/** A class method that this file overrides. */
export interface OverriddenMethod {
  readonly class: string;
  readonly method: string;
  /** The file of rclnodejs that declares the class. */
  readonly file: string;
  /** The names of the parameters, as rclnodejs declares them. */
  readonly parameters: readonly string[];
  /** A file of rclnodejs that calls the method, and the text of the call. */
  readonly caller: readonly [file: string, text: string];
}

export const OVERRIDDEN_METHODS: readonly OverriddenMethod[] = [
  // The constructor creates the publisher of parameter events with it, on a relative topic.
  {
    class: 'Node',
    method: 'createPublisher',
    file: 'lib/node.js',
    parameters: ['typeClass', 'topic', 'options', 'eventCallbacks'],
    caller: [
      'lib/node.js',
      'this.createPublisher(\n      PARAMETER_EVENT_MSG_TYPE,\n      PARAMETER_EVENT_TOPIC\n    )',
    ],
  },
  // Calls the callbacks of the timers, subscriptions and services that are ready; called by the executor.
  {
    class: 'Node',
    method: 'execute',
    file: 'lib/node.js',
    parameters: ['handles'],
    caller: ['src/shadow_node.cpp', 'Get("execute")'],
  },
  // Takes one message or request. Calls `callback` with the memory of a new message of class `Type` and a function that
  // converts it, which the callback calls if a message was taken.
  {
    class: 'Node',
    method: '_runWithMessageType',
    file: 'lib/node.js',
    parameters: ['Type', 'callback'],
    caller: ['lib/node.js', 'this._runWithMessageType(\n        service.typeClass.Request,'],
  },
  // Reads the overrides of the command line and its files: those of `/**`, then those of the node's base name.
  {
    class: 'Node',
    method: '_getNativeParameterOverrides',
    file: 'lib/node.js',
    parameters: [],
    caller: ['lib/node.js', 'this._parameterOverrides = this._getNativeParameterOverrides()'],
  },
  // Checks parameters that are declared or set; `declareParameterMode` is true while they are declared.
  {
    class: 'Node',
    method: '_validateParameters',
    file: 'lib/node.js',
    parameters: ['parameters', 'declareParameterMode'],
    caller: ['lib/node.js', 'this._validateParameters(parameters, declareParameterMode)'],
  },
  // Serves `change_state`: runs the transition and sends the response in the same call. Throws where the state has no
  // such transition.
  {
    class: 'LifecycleNode',
    method: '_onChangeState',
    file: 'lib/lifecycle.js',
    parameters: ['request', 'response'],
    caller: ['lib/lifecycle.js', 'this._onChangeState(request, response)'],
  },
];

/**
 * The time source of a node, and the setter that connects it to `/clock`. It does not check times: one beyond what a message
 * can hold would make every message with a stamp fail.
 */
export const TIME_SOURCE = [
  ['lib/node.js', 'this._timeSource = new TimeSource(this)'],
  ['lib/time_source.js', 'set isRosTimeActive(enabled)'],
] as const;

/** The module whose default export is the native binding. */
export const NATIVE_MODULE = 'lib/native_loader.js';

/** The functions of the native binding that this package calls, and the files that export them. */
export const NATIVE_FUNCTIONS = [
  ['getParameterOverrides', 'src/rcl_node_bindings.cpp'],
  ['rclTakeRaw', 'src/rcl_subscription_bindings.cpp'],
] as const;

/** Written by `scripts/generate_messages.cjs` when message classes have been generated; index.js reads it. */
export const GENERATED_MESSAGES = 'generated/generator.json';

/** The files in which `NATIVE_MODULE` looks for the binding: the one built on this machine, then the package's prebuilt one. */
export function bindingFiles(architecture: string, distro: string, ubuntuCodename: string): string[] {
  const prebuilt = `${distro}-${ubuntuCodename}-${architecture}-node-rclnodejs.node`;
  return ['build/Release/rclnodejs.node', `prebuilds/linux-${architecture}/${prebuilt}`];
}

/** A handle of the native binding; opaque. */
interface Handle {
  readonly release: () => void;
}

/** Parameter overrides of one node name or name pattern. */
export interface NodeOverrides {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly type: number; readonly value: unknown }[];
}

export type Override = NodeOverrides['parameters'][number];

/** The part of the native binding that is used. */
export interface NativeRcl {
  /** One entry per node name or pattern, in the order of the command line. */
  getParameterOverrides(context: Handle): readonly NodeOverrides[] | undefined;
  /** The oldest serialised message that was not taken; undefined where there is none. Does not wait. */
  rclTakeRaw(subscription: Handle): Buffer | undefined;
}

export async function importNative(): Promise<NativeRcl> {
  const module: string = `rclnodejs/${NATIVE_MODULE}`;
  const { default: native } = (await import(module)) as { default: NativeRcl };
  return native;
}

export interface ChangeStateRequest {
  readonly transition: { readonly id: number; readonly label: string };
}

/** A generated message class. */
interface MessageClass {
  new (): object;
  type(): { readonly pkgName: string; readonly subFolder: string; readonly interfaceName: string };
}

type Take = (message: Buffer, deserialize: () => object) => void;

type Internals = LifecycleNode & {
  readonly context: { readonly handle: Handle };
  readonly _timeSource: { isRosTimeActive: boolean };
  createPublisher(type: string, topic: string, ...rest: readonly unknown[]): Publisher;
  execute(handles: readonly unknown[]): void;
  _runWithMessageType(Type: MessageClass, callback: Take): void;
  _getNativeParameterOverrides(): Map<string, Parameter>;
  _validateParameters(parameters: readonly Parameter[], declareParameterMode?: boolean): SetParametersResult;
  _onChangeState(request: ChangeStateRequest, response: ServiceResponse): void;
};

type NodeClass<Node> = new (...parameters: unknown[]) => Node;

/** What the overridden methods call. */
export interface NodeHooks {
  /** Receives everything that a callback throws; in the executor it would abort the process. */
  readonly onError: (error: unknown) => void;
  /**
   * Called for a request, or a message of a subscription that is not raw, whose bytes are not of its type. It is dropped.
   * @param reason names the type, such as `std_srvs/srv/Trigger_Request`.
   */
  readonly onMalformed: (reason: string) => void;
  /** Selects, from all overrides given, those that apply to the node. Called by the constructor. */
  readonly parameterOverrides: (fullyQualifiedName: string, given: readonly NodeOverrides[]) => readonly Override[];
  /** Returns the reason why a declared parameter must not be set to this value; undefined if it may be. */
  readonly rejectParameter: (node: LifecycleNode, parameter: Parameter) => string | undefined;
  /** Receives the reason why `change_state` was answered with `success: false` without a transition. */
  readonly onRejectedTransition: (reason: string) => void;
  /** Returns the `success` of the response to `change_state`. If the promise rejects, `onError` is called and no response is sent. */
  readonly transitionResult: (request: ChangeStateRequest, success: boolean) => boolean | Promise<boolean>;
}

/** Creates rclnodejs's lifecycle node with `hooks`. Its only services are those of its lifecycle. */
export function createHookedNode(rcl: Rcl, native: NativeRcl, name: string, hooks: NodeHooks): LifecycleNode {
  const Base = reportsErrors(rcl.lifecycle.LifecycleNode as NodeClass<Internals>, hooks.onError);

  class HookedNode extends Base {
    override _runWithMessageType(Type: MessageClass, take: Take): void {
      super._runWithMessageType(Type, reportsMalformed(Type, take, hooks.onMalformed));
    }

    override _getNativeParameterOverrides(): Map<string, Parameter> {
      const given = native.getParameterOverrides(this.context.handle) ?? [];
      const overrides = hooks
        .parameterOverrides(this.getFullyQualifiedName(), given)
        .filter(({ value }) => value !== undefined);
      return new Map(overrides.map(({ name, type, value }) => [name, new rcl.Parameter(name, type, value)]));
    }

    override _validateParameters(parameters: readonly Parameter[], declareParameterMode = false): SetParametersResult {
      const reasons = declareParameterMode ? [] : parameters.map((parameter) => hooks.rejectParameter(this, parameter));
      const reason = reasons.find((text) => text !== undefined);
      if (reason !== undefined) return { successful: false, reason };
      return super._validateParameters(parameters, declareParameterMode);
    }

    override _onChangeState(request: ChangeStateRequest, response: ServiceResponse): void {
      const respond = (success: boolean): void => response.send({ ...response.template, success });
      const { id, label } = request.transition;
      const allowed = this.availableTransitions.map(({ transition }) => transition);
      if (!allowed.some((transition) => (label === '' ? transition.id === id : transition.label === label))) {
        const received = label === '' ? `id ${id}` : JSON.stringify(label);
        const names = allowed.map((transition) => `${transition.label} (${transition.id})`).join(', ');
        hooks.onRejectedTransition(
          `Expected a transition that ${this.currentState.label} allows (${names}), received ${received}`,
        );
        respond(false);
        return;
      }
      try {
        super._onChangeState(request, {
          template: response.template,
          send: (sent) => {
            const { success } = sent as { success: boolean };
            const result = hooks.transitionResult(request, success);
            if (typeof result === 'boolean') respond(result);
            else result.then(respond, hooks.onError);
          },
        });
      } catch (error) {
        hooks.onError(error);
        respond(false);
      }
    }
  }

  const node = new HookedNode(name, '', undefined, optionsWithoutServices(rcl));
  // `NodeTime` takes the time from `/clock`, checked. The node's own clock, which stamps parameter events, is the system's.
  node._timeSource.isRosTimeActive = false;
  return node;
}

/**
 * Takes the messages of a raw subscription that have arrived, oldest first. By itself rclnodejs takes one message of each
 * subscription at a time, in the order in which they were created, and timers come first. Call this in a callback of the node: then
 * its executor does not wait for the subscription.
 * @param limit the largest number of messages.
 */
export function takeArrived(native: NativeRcl, subscription: Subscription, limit: number): Buffer[] {
  const { handle } = subscription as Subscription & { readonly handle: Handle };
  const messages: Buffer[] = [];
  while (messages.length < limit) {
    const message = native.rclTakeRaw(handle);
    if (message === undefined) break;
    messages.push(message);
  }
  return messages;
}

/** A node without services, and the parameter overrides of the command line, which it does not apply. */
export interface GuardNode {
  readonly node: PlainNode;
  readonly given: readonly NodeOverrides[];
}

/** Creates rclnodejs's plain node without parameter, logger and type description services. */
export function createGuardNode(
  rcl: Rcl,
  native: NativeRcl,
  name: string,
  { onError, onMalformed }: Pick<NodeHooks, 'onError' | 'onMalformed'>,
): GuardNode {
  const Base = reportsErrors(rcl.Node as NodeClass<Internals>, onError) as unknown as NodeClass<PlainNode & Internals>;
  let given: readonly NodeOverrides[] = [];

  class HookedNode extends Base {
    override _runWithMessageType(Type: MessageClass, take: Take): void {
      super._runWithMessageType(Type, reportsMalformed(Type, take, onMalformed));
    }

    override _getNativeParameterOverrides(): Map<string, Parameter> {
      given = native.getParameterOverrides(this.context.handle) ?? [];
      return new Map();
    }
  }

  return { node: new HookedNode(name, '', undefined, optionsWithoutServices(rcl)), given };
}

/** The options of a node without parameter and type description services. */
function optionsWithoutServices(rcl: Rcl): InstanceType<Rcl['NodeOptions']> {
  const options = new rcl.NodeOptions();
  options.startParameterServices = false;
  options.startTypeDescriptionService = false;
  return options;
}

/** `Base`, which publishes parameter events on `/parameter_events`, where ROS tools listen, in any namespace. */
function withGlobalParameterEvents(Base: NodeClass<Internals>): NodeClass<Internals> {
  return class extends Base {
    override createPublisher(type: string, topic: string, ...rest: readonly unknown[]): Publisher {
      return super.createPublisher(type, topic === 'parameter_events' ? '/parameter_events' : topic, ...rest);
    }
  };
}

/** Creates rclnodejs's plain node without services, whose name is not remapped and which publishes no log. */
export function createCameraNode(rcl: Rcl, name: string, namespace: string): CameraNode {
  const options = optionsWithoutServices(rcl);
  options.enableRosout = false;
  const Base = withGlobalParameterEvents(rcl.Node as NodeClass<Internals>);
  return new Base(name, namespace, undefined, options, [], false) as unknown as CameraNode;
}

/** `withGlobalParameterEvents`, whose callbacks give what they throw to `onError`. */
function reportsErrors(Base: NodeClass<Internals>, onError: (error: unknown) => void): NodeClass<Internals> {
  return class extends withGlobalParameterEvents(Base) {
    override execute(handles: readonly unknown[]): void {
      try {
        super.execute(handles);
      } catch (error) {
        onError(error);
      }
    }
  };
}

/** `take`, and a call of `onMalformed` where it took nothing: what was ready could not be decoded. */
function reportsMalformed(Type: MessageClass, take: Take, onMalformed: (reason: string) => void): Take {
  return (message, deserialize) => {
    let taken = false;
    take(message, () => {
      taken = true;
      return deserialize();
    });
    if (taken) return;
    const { pkgName, subFolder, interfaceName } = Type.type();
    onMalformed(`Expected the bytes of a ${pkgName}/${subFolder}/${interfaceName}, received others`);
  };
}

/** A node that only serves. */
export interface ServiceNode {
  getLogger(): Logger;
  spin(): void;
  /**
   * Serves a service whose request begins with a list.
   * @param answer gets the request and the number of entries of its list; with more than `maxEntries`, the list is left out.
   */
  createBoundedService(type: string, name: string, answer: (request: object, entries: number) => Promise<object>): void;
}

export interface ServiceNodeHooks extends Pick<NodeHooks, 'onError' | 'onMalformed'> {
  readonly maxEntries: number;
  /** Called with the number of entries of the list of every request, also of a malformed one, while its memory is allocated. */
  readonly onEntries: (entries: number) => void;
}

/**
 * Creates a node without any service of rclnodejs. rclnodejs needs 0.1 ms and more for each entry of a request's list, so the
 * number of entries is read before.
 */
export function createServiceNode(rcl: Rcl, name: string, namespace: string, hooks: ServiceNodeHooks): ServiceNode {
  const Base = reportsErrors(rcl.Node as NodeClass<Internals>, hooks.onError) as NodeClass<
    Internals & {
      createService(type: string, name: string, callback: (request: object) => Promise<object | undefined>): void;
    }
  >;
  /** Of the request that is being taken; rclnodejs calls the service's callback before it takes another one. */
  let entries = 0;

  class BoundedNode extends Base implements ServiceNode {
    override _runWithMessageType(Type: MessageClass, take: Take): void {
      const reportingTake = reportsMalformed(Type, take, hooks.onMalformed);
      super._runWithMessageType(Type, (message, deserialize) => {
        // A list in memory is a pointer, the number of entries and the capacity.
        const readEntries = (): number => Number(message.readBigUInt64LE(8));
        reportingTake(message, () => {
          entries = readEntries();
          return entries > hooks.maxEntries ? new Type() : deserialize();
        });
        hooks.onEntries(readEntries());
      });
    }

    createBoundedService(
      type: string,
      name: string,
      answer: (request: object, entries: number) => Promise<object>,
    ): void {
      this.createService(type, name, (request) =>
        answer(request, entries).catch((error: unknown) => {
          hooks.onError(error);
          return undefined;
        }),
      );
    }
  }

  return new BoundedNode(name, namespace, undefined, optionsWithoutServices(rcl));
}

/**
 * Makes `describe_parameters` report `range`, both ends included, for a number; no range where it is undefined. rclnodejs
 * does not copy a range that is given to its own descriptor into the message.
 */
export function setRange(
  descriptor: ParameterDescriptor,
  range: { readonly from: number; readonly to: number } | undefined,
): void {
  const message = descriptor.toMessage();
  const integer = descriptor.type === PARAMETER_TYPE.integer;
  descriptor.toMessage = () => ({
    ...message,
    integer_range: range && integer ? [{ from_value: BigInt(range.from), to_value: BigInt(range.to), step: 1n }] : [],
    floating_point_range: range && !integer ? [{ from_value: range.from, to_value: range.to, step: 0 }] : [],
  });
}
