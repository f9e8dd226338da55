import { changeFault, overridesFor } from './parameters.js';
import type {
  CallbackReturnValue,
  ChangeStateRequest,
  LifecycleNode,
  NativeRcl,
  Parameter,
  Rcl,
  ServiceResponse,
  SetParametersResult,
} from './rcl.js';

/** lifecycle_msgs/Transition of `configure`. */
const CONFIGURE = 1;

/** What a node does at each transition; true = done, false = refused, thrown = an error that ends in `cleanup`. */
export interface Transitions {
  configure(): boolean;
  /** Whether what `configure` began has succeeded; whoever asked for it gets his answer then. */
  configured(): Promise<boolean>;
  activate(): boolean;
  deactivate(): boolean;
  cleanup(): boolean;
  shutdown(): boolean;
}

/**
 * rclnodejs's lifecycle node with what it lacks: nothing thrown in a callback reaches the executor (where it would abort
 * the process), a transition that the state does not allow is answered with a refusal, `configure` is answered when it is
 * really done, parameter overrides apply in rclcpp's order, and a parameter can neither be deleted nor change its type.
 */
export function createLifecycleNode(
  rcl: Rcl,
  native: NativeRcl,
  name: string,
  argv: readonly string[],
  onError: (error: unknown) => void,
): LifecycleNode & { transitions: Transitions | undefined } {
  class GuardedNode extends rcl.lifecycle.LifecycleNode {
    transitions: Transitions | undefined;

    override execute(handles: readonly unknown[]): void {
      try {
        super.execute(handles);
      } catch (error) {
        onError(error);
      }
    }

    override _onChangeState(request: ChangeStateRequest, response: ServiceResponse): void {
      const answer = (success: boolean) => response.send({ ...response.template, success });
      try {
        const { id, label } = request.transition;
        super._onChangeState(request, {
          template: response.template,
          send: (result) => {
            const { success } = result as { success: boolean };
            const configuring = success && (label === 'configure' || (label === '' && id === CONFIGURE));
            if (!configuring || this.transitions === undefined) answer(success);
            else this.transitions.configured().then(answer, onError);
          },
        });
      } catch (error) {
        onError(error);
        answer(false);
      }
    }

    override _getNativeParameterOverrides(): Map<string, Parameter> {
      const entries = native.getParameterOverrides(this.context.handle) ?? [];
      const overrides = overridesFor(this.getFullyQualifiedName(), entries, argv);
      const given = [...overrides.values()].filter(({ value }) => value !== undefined);
      return new Map(given.map(({ name, type, value }) => [name, new rcl.Parameter(name, type, value)]));
    }

    override _validateParameters(parameters: readonly Parameter[], declaring = false): SetParametersResult {
      const faults = declaring ? [] : parameters.map((parameter) => changeFault(this, parameter));
      const reason = faults.find((fault) => fault !== undefined);
      return reason === undefined ? super._validateParameters(parameters, declaring) : { successful: false, reason };
    }
  }

  const options = new rcl.NodeOptions();
  options.enableLoggerService = true;
  return new GuardedNode(name, '', undefined, options);
}

/**
 * Registers the transitions' callbacks; what is thrown in one is reported and becomes ERROR. `onChange` is called once
 * the new state holds.
 */
export function registerTransitions(
  rcl: Rcl,
  node: LifecycleNode & { transitions: Transitions | undefined },
  transitions: Transitions,
  onError: (error: unknown) => void,
  onChange: () => void,
): void {
  const { SUCCESS, FAILURE, ERROR } = rcl.lifecycle.CallbackReturnCode;
  const callback = (transition: () => boolean) => (): number => {
    setImmediate(onChange);
    try {
      return transition() ? SUCCESS : FAILURE;
    } catch (error) {
      onError(error);
      return ERROR;
    }
  };
  node.transitions = transitions;
  node.registerOnConfigure(callback(() => transitions.configure()));
  node.registerOnActivate(callback(() => transitions.activate()));
  node.registerOnDeactivate(callback(() => transitions.deactivate()));
  node.registerOnCleanup(callback(() => transitions.cleanup()));
  node.registerOnShutdown(callback(() => transitions.shutdown()));
  node.registerOnError(callback(() => transitions.cleanup()));
}

/** Asks the node itself for a transition; whether it succeeded. */
export function transition(rcl: Rcl, change: (result: CallbackReturnValue) => unknown): boolean {
  const result = new rcl.lifecycle.CallbackReturnValue();
  change(result);
  return result.isSuccess();
}
