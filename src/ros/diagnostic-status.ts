import type { Pi05Error, Refusal, FaultCode } from '../errors.js';
import type { PipelineStatistics } from '../pipeline/statistics.js';
import type { Cause } from '../guard/protocol.js';
import type { Percentiles } from '../statistics.js';

/** The levels of `diagnostic_msgs/msg/DiagnosticStatus`. */
export const LEVEL = { ok: 0, warn: 1, error: 2 } as const;
export type Level = (typeof LEVEL)[keyof typeof LEVEL];

/** `error`: the fault makes the robot hold or stop. */
const FAULT_LEVEL: Readonly<Record<FaultCode, Level>> = {
  ENGINE_FAILED: LEVEL.error,
  ENGINE_LATE: LEVEL.warn,
  DEVICE_LOST: LEVEL.error,
  CHUNK_NOT_FINITE: LEVEL.error,
  CHUNK_STALE: LEVEL.warn,
  CHUNK_AGE_LIMIT: LEVEL.warn,
  RTC_DELAY: LEVEL.warn,
  COMMAND_JUMP: LEVEL.error,
  COMMAND_STARVED: LEVEL.warn,
  WORKSPACE: LEVEL.error,
  FOLLOWING_ERROR: LEVEL.error,
  STATE_LOST: LEVEL.error,
  PROMPT_CHANGING: LEVEL.warn,
  TICK_LATE: LEVEL.warn,
  TICK_GAP: LEVEL.error,
  TICK_RATE: LEVEL.warn,
  CLOCK_STILL: LEVEL.warn,
  CLOCK_BACKWARDS: LEVEL.warn,
  COMMAND_TIMEOUT: LEVEL.error,
  COMMAND_LIMIT: LEVEL.error,
  POLICY_SILENT: LEVEL.error,
  POLICY_LOST: LEVEL.error,
  GUARD_PAUSED: LEVEL.error,
  GUARD_LINK: LEVEL.error,
  GUARD_LOST: LEVEL.error,
  GUARD_CONFIG: LEVEL.error,
  LATCH_FILE: LEVEL.error,
  EMERGENCY_STOP: LEVEL.error,
  HEARTBEAT_LOST: LEVEL.error,
  LIMITS_NONE: LEVEL.warn,
  OUTPUT_SHARED: LEVEL.error,
  CLOCK_SHARED: LEVEL.warn,
  NODE_DUPLICATE: LEVEL.warn,
  TOPIC_TYPE: LEVEL.warn,
  OUTPUT_UNHEARD: LEVEL.warn,
  QOS_INCOMPATIBLE: LEVEL.warn,
  INPUT_SILENT: LEVEL.warn,
};
/** The status that reports a fault; `control` reports all others. */
const STATUS_OF: Readonly<Partial<Record<string, 'engine' | 'inputs'>>> = {
  ENGINE_FAILED: 'engine',
  ENGINE_LATE: 'engine',
  DEVICE_LOST: 'engine',
  CHUNK_NOT_FINITE: 'engine',
  TOPIC_TYPE: 'inputs',
  QOS_INCOMPATIBLE: 'inputs',
  INPUT_SILENT: 'inputs',
};

/** The state of the node and its counters since activation. */
export interface NodeReport {
  /** Lifecycle state, or `loading`. */
  readonly state: string;
  /** Why the checkpoint could not be loaded, `CODE: sentence`. */
  readonly failure: string | undefined;
  readonly checkpoint: string;
  readonly backend: string;
  /** Undefined while no checkpoint is loaded. */
  readonly statistics: PipelineStatistics | undefined;
  /** Faults outside the pipeline that hold now: the clock and the ROS graph. */
  readonly present: readonly Pi05Error<FaultCode>[];
  /** Why no command passes the guard until `~/resume`; undefined where it is not latched. */
  readonly latch: Cause | undefined;
}

/** The newest refusal and the faults of the last one to two seconds. */
export interface Recent {
  readonly refusal: Refusal | undefined;
  readonly faults: readonly Pi05Error<FaultCode>[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** `diagnostic_msgs/msg/DiagnosticStatus`. */
export interface DiagnosticStatus {
  readonly level: Level;
  readonly name: string;
  readonly message: string;
  readonly hardware_id: string;
  readonly values: readonly KeyValue[];
}

/**
 * One status each for the node, its latch, its inputs, the engine, the control loop and the motion; only the first two while no
 * checkpoint is loaded. Levels and messages come from `recent` and from the faults that hold now, values from the counters.
 * @param name the node's fully qualified name.
 */
export function statuses(name: string, report: NodeReport, recent: Recent): DiagnosticStatus[] {
  const { state, failure, checkpoint, backend, statistics, latch } = report;
  const status = (component: string, level: Level, message: string, values: KeyValue[]): DiagnosticStatus => ({
    level,
    name: `${name}: ${component}`,
    message,
    hardware_id: '',
    values,
  });
  const node = status('node', failure === undefined ? LEVEL.ok : LEVEL.error, failure ?? state, [
    value('state', state),
    value('checkpoint', checkpoint),
    value('backend', backend),
  ]);
  const safety = status(
    'safety',
    latch === undefined ? LEVEL.ok : LEVEL.error,
    latch === undefined ? 'not latched' : `${latch.code}: ${latch.message} (call ~/resume)`,
    [value('latched', latch?.code ?? '')],
  );
  if (statistics === undefined) return [node, safety];

  const faults = [...report.present, ...recent.faults];
  const belongs = (code: string, component: string): boolean => (STATUS_OF[code] ?? 'control') === component;
  const worstFault = (component: string): [Level, string] =>
    worst(faults.filter(({ code }) => belongs(code, component)));
  const counts = (component: string): KeyValue[] => [
    ...Object.entries(statistics.faults)
      .filter(([code]) => belongs(code, component))
      .map(([code, count]) => value(`fault.${code}`, count)),
    ...report.present
      .filter(({ code }) => belongs(code, component))
      .map(({ code, message }) => value(`present.${code}`, message)),
  ];

  const last = statistics.lastRefusal;
  const [inputsLevel, inputsSentence] = worstFault('inputs');
  // A fault of the graph is often the reason for the refusal.
  const inputsReasons = [recent.refusal?.toString(), inputsLevel === LEVEL.ok ? undefined : inputsSentence];
  const inputsMessage: [Level, string] = [
    recent.refusal === undefined ? inputsLevel : LEVEL.warn,
    inputsReasons.filter((reason) => reason !== undefined).join('; ') || 'no refusal',
  ];
  const inputs = status('inputs', ...inputsMessage, [
    value('observations', statistics.observations),
    ...Object.entries(statistics.cameras).flatMap(([camera, counts]) =>
      Object.entries(counts).map(([event, count]) => value(`camera.${camera}.${event}`, count)),
    ),
    ...Object.entries(statistics.refusals).map(([code, count]) => value(`refused.${code}`, count)),
    ...(last === undefined
      ? []
      : [
          value('last_refusal.code', last.code),
          value('last_refusal.topic', last.source ?? ''),
          value('last_refusal.message', last.message),
        ]),
    ...counts('inputs'),
  ]);
  const engine = status('engine', ...worstFault('engine'), [
    value('chunks', statistics.chunks),
    value('chunks_outdated', statistics.outdated),
    ...percentiles('inference_ms', statistics.inferenceMs),
    ...percentiles('latency_ms', statistics.latencyMs),
    ...counts('engine'),
  ]);
  const control = status('control', ...worstFault('control'), [
    value('ticks', statistics.ticks),
    ...Object.entries(statistics.commands).map(([reason, count]) => value(`commands.${reason}`, count)),
    ...percentiles('tick_lateness_ms', statistics.tickLatenessMs),
    ...(statistics.maxTickLatenessMs === undefined
      ? []
      : [value('tick_lateness_ms_max', statistics.maxTickLatenessMs.toFixed(3))]),
    ...counts('control'),
  ]);
  return [node, safety, inputs, engine, control, motionStatus(name, statistics)];
}

/**
 * How smooth the motion is: the delay that the schedule counts with, the seams between chunks and the jerk of the commands.
 * @param name the node's fully qualified name.
 */
export function motionStatus(name: string, { delay, motion }: PipelineStatistics): DiagnosticStatus {
  const { seams, lastJump, maxJump, maxJumpJoint, disagreement, jerkRms, jerkMax, idleSteps } = motion;
  const number = (key: string, content: number | undefined): KeyValue[] =>
    content === undefined ? [] : [value(key, content.toFixed(3))];
  const largest = maxJump === undefined ? '' : `, the largest jump ${maxJump.toFixed(2)} times what one period allows`;
  return {
    level: LEVEL.ok,
    name: `${name}: motion`,
    message: `${seams} seams${largest}`,
    hardware_id: '',
    values: [
      value('delay_ms', delay.ms.toFixed(3)),
      value('delay', delay.fixed ? 'fixed' : 'estimated'),
      value('seams', seams),
      ...number('seam_jump_last', lastJump),
      ...number('seam_jump_max', maxJump),
      ...(maxJumpJoint === '' ? [] : [value('seam_jump_max_joint', maxJumpJoint)]),
      ...number('seam_disagreement_rms', disagreement),
      ...number('jerk_rms', jerkRms),
      ...number('jerk_max', jerkMax),
      value('idle_steps', idleSteps),
    ],
  };
}

/** The highest level and the newest fault of that level. */
function worst(faults: readonly Pi05Error<FaultCode>[]): [Level, string] {
  let result: [Level, string] = [LEVEL.ok, 'no fault'];
  for (const fault of faults) {
    const level = FAULT_LEVEL[fault.code];
    if (level >= result[0]) result = [level, fault.toString()];
  }
  return result;
}

function value(key: string, content: string | number): KeyValue {
  return { key, value: String(content) };
}

function percentiles(key: string, { p50, p99 }: Percentiles): KeyValue[] {
  if (p50 === undefined || p99 === undefined) return [];
  return [value(`${key}_p50`, p50.toFixed(3)), value(`${key}_p99`, p99.toFixed(3))];
}

/** The newest refusal and the faults of one second, each fault once. */
export class RecentEvents {
  refusal: Refusal | undefined;
  readonly faults = new Map<FaultCode, Pi05Error<FaultCode>>();
}

/** The events of two seconds: a condition that is reported once per second stays visible until it has ended. */
export function mergeRecent(previous: RecentEvents, current: RecentEvents): Recent {
  return {
    refusal: current.refusal ?? previous.refusal,
    faults: [...new Map([...previous.faults, ...current.faults]).values()],
  };
}
