import type { Command } from '../frame/frame.js';
import type { GuardMessage } from './protocol.js';

/** What the process does after an event, in this order. */
export interface GuardActions {
  /** The command to publish on all outputs. A value of a stop action is NaN where no position is known. */
  readonly command?: Command;
  /** Messages to the policy process. */
  readonly messages: readonly GuardMessage[];
}

export const NOTHING: GuardActions = { messages: [] };

/** What was due, and then what an event caused; only one of them has a command, or both have the stop action. */
export function merge(due: GuardActions, actions: GuardActions): GuardActions {
  const command = actions.command ?? due.command;
  return { ...(command && { command }), messages: [...due.messages, ...actions.messages] };
}
