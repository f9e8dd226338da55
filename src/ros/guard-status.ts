import type { GuardState } from '../guard/guard.js';
import type { Cause } from '../guard/protocol.js';
import { type DiagnosticStatus, LEVEL, type Level } from './diagnostic-status.js';

const STATE_LEVEL: Readonly<Record<GuardState, Level>> = {
  inactive: LEVEL.ok,
  moving: LEVEL.ok,
  stopped: LEVEL.warn,
  latched: LEVEL.error,
};

/**
 * What `~/safety` and `/diagnostics` report: whether the robot may move, why not, and what lets it move again.
 * @param policy the policy's full name. @param cause why the robot is stopped; undefined after an activation.
 */
export function safetyStatus(
  name: string,
  policy: string,
  state: GuardState,
  cause: Cause | undefined,
  attached: boolean,
): DiagnosticStatus {
  const stopped = state === 'stopped' || state === 'latched';
  const shown = stopped ? cause : undefined;
  const waiting = state === 'stopped' && shown === undefined;
  const resume = {
    inactive: 'activate the policy',
    moving: '',
    stopped: 'by itself, with a chunk from a new observation',
    latched: `ros2 service call ${policy}/resume std_srvs/srv/Trigger`,
  }[state];
  return {
    level: waiting ? LEVEL.ok : STATE_LEVEL[state],
    name,
    message: shown === undefined ? state : `${state}: ${shown.code}: ${shown.message}`,
    hardware_id: '',
    values: [
      { key: 'state', value: state },
      { key: 'code', value: shown?.code ?? '' },
      { key: 'reason', value: shown?.message ?? '' },
      { key: 'resume', value: resume },
      { key: 'policy', value: attached ? 'connected' : 'not connected' },
    ],
  };
}
