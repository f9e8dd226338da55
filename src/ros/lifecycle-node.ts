import { overridesFor, rejectChange } from './parameters.js';
import type { CallbackReturnValue, LifecycleNode, Rcl } from './rcl.js';
import { createHookedNode, type NativeRcl, type NodeHooks } from './rclnodejs-internals.js';

/** `lifecycle_msgs/msg/Transition.TRANSITION_CONFIGURE`. */
const CONFIGURE = 1;

/** What a node does at each transition: true is SUCCESS, false FAILURE; a thrown error is ERROR, which runs `cleanup`. */
export interface Transitions {
  configure(): boolean;
  /** Whether the loading that `configure` started has succeeded. `change_state` is answered when this resolves. */
  configured(): Promise<boolean>;
  activate(): boolean;
  deactivate(): boolean;
  /** Resolves when the stop action of the last deactivation was sent. Transitions out of `active` are answered then. */
  stopped(): Promise<void>;
  cleanup(): boolean;
  shutdown(): boolean;
}

/** A lifecycle node and what connects it to its transitions. */
export interface ManagedNode {
  readonly node: LifecycleNode;
  /** Registers the callbacks of all transitions. @param onChange called after the node has reached its new state. */
  readonly register: (transitions: Transitions, onChange: () => void) => void;
}

/**
 * rclnodejs's lifecycle node with these differences: an error thrown in a callback goes to `onError` instead of aborting the
 * process; a request that cannot be decoded is reported; its parameters are served by another process (`services/`); a
 * transition that the state does not allow is answered with `success: false`; `change_state` to configure is answered when
 * the loading has ended; parameter overrides apply in rclcpp's order; a parameter keeps its type and cannot be deleted.
 */
export function createLifecycleNode(
  rcl: Rcl,
  native: NativeRcl,
  name: string,
  argv: readonly string[],
  events: Pick<NodeHooks, 'onError' | 'onMalformed' | 'onRejectedTransition'>,
): ManagedNode {
  let registered: Transitions | undefined;
  const node = createHookedNode(rcl, native, name, {
    ...events,
    parameterOverrides: (fullyQualifiedName, given) => [...overridesFor(fullyQualifiedName, given, argv).values()],
    rejectParameter: rejectChange,
    transitionResult: ({ transition: { id, label } }, success) => {
      if (!success || registered === undefined) return success;
      const configuring = label === 'configure' || (label === '' && id === CONFIGURE);
      return configuring ? registered.configured() : registered.stopped().then(() => true);
    },
  });
  const register = (transitions: Transitions, onChange: () => void): void => {
    registered = transitions;
    registerCallbacks(rcl, node, transitions, events.onError, onChange);
  };
  return { node, register };
}

function registerCallbacks(
  rcl: Rcl,
  node: LifecycleNode,
  transitions: Transitions,
  onError: (error: unknown) => void,
  onChange: () => void,
): void {
  const { SUCCESS, FAILURE, ERROR } = rcl.lifecycle.CallbackReturnCode;
  const callback = (run: () => boolean) => (): number => {
    setImmediate(onChange);
    try {
      return run() ? SUCCESS : FAILURE;
    } catch (error) {
      onError(error);
      return ERROR;
    }
  };
  node.registerOnConfigure(callback(() => transitions.configure()));
  node.registerOnActivate(callback(() => transitions.activate()));
  node.registerOnDeactivate(callback(() => transitions.deactivate()));
  node.registerOnCleanup(callback(() => transitions.cleanup()));
  node.registerOnShutdown(callback(() => transitions.shutdown()));
  node.registerOnError(callback(() => transitions.cleanup()));
}

/** Runs a transition of the node in this process. @returns whether its callback returned SUCCESS. */
export function runTransition(rcl: Rcl, start: (result: CallbackReturnValue) => unknown): boolean {
  const result = new rcl.lifecycle.CallbackReturnValue();
  start(result);
  return result.isSuccess();
}
