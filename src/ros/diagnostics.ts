import type { Pi05Error, Refusal, FaultCode } from '../errors.js';
import { ROS_TYPE } from '../messages/types.js';
import type { PipelineStatistics } from '../pipeline/statistics.js';
import type { Percentiles } from '../statistics.js';
import { toRosTime } from '../time.js';
import type { LifecycleNode, Publisher } from './rcl.js';

/** diagnostic_msgs/DiagnosticStatus's levels. */
export const LEVEL = { ok: 0, warn: 1, error: 2 } as const;
export type Level = (typeof LEVEL)[keyof typeof LEVEL];

/** How bad a fault is: an error where it holds or stops the robot. */
const FAULT_LEVEL: Readonly<Record<FaultCode, Level>> = {
  ENGINE_FAILED: LEVEL.error,
  ENGINE_LATE: LEVEL.warn,
  DEVICE_LOST: LEVEL.error,
  CHUNK_NOT_FINITE: LEVEL.error,
  COMMAND_JUMP: LEVEL.error,
  COMMAND_STARVED: LEVEL.warn,
  TICK_LATE: LEVEL.warn,
  CLOCK_STILL: LEVEL.warn,
  OUTPUT_SHARED: LEVEL.warn,
  NODE_DUPLICATE: LEVEL.warn,
  TOPIC_TYPE: LEVEL.warn,
};
/** Which status speaks of a fault; `control` of all others. */
const CONCERN: Readonly<Partial<Record<string, 'engine' | 'inputs'>>> = {
  ENGINE_FAILED: 'engine',
  ENGINE_LATE: 'engine',
  DEVICE_LOST: 'engine',
  CHUNK_NOT_FINITE: 'engine',
  TOPIC_TYPE: 'inputs',
};

const PERIOD_MS = 1000;

/** What the node is and has done so far. */
export interface Report {
  /** Lifecycle state, or `loading`. */
  readonly state: string;
  /** Why the checkpoint could not be loaded, `CODE: sentence`. */
  readonly failure: string | undefined;
  readonly checkpoint: string;
  readonly backend: string;
  /** Absent where no checkpoint is loaded. */
  readonly statistics: PipelineStatistics | undefined;
  /** What is wrong at this moment, beside what the pipeline reports. */
  readonly present: readonly Pi05Error<FaultCode>[];
}

/** What went wrong lately. */
export interface Recent {
  readonly refusal: Refusal | undefined;
  readonly faults: readonly Pi05Error<FaultCode>[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** diagnostic_msgs/DiagnosticStatus. */
export interface DiagnosticStatus {
  readonly level: Level;
  readonly name: string;
  readonly message: string;
  readonly hardware_id: string;
  readonly values: readonly KeyValue[];
}

/** One status each for the node, its inputs, the engine and the control loop; the levels speak of `recent`. */
export function statuses(name: string, report: Report, recent: Recent): DiagnosticStatus[] {
  const { state, failure, checkpoint, backend, statistics } = report;
  const status = (concern: string, level: Level, message: string, values: KeyValue[]): DiagnosticStatus => ({
    level,
    name: `${name}: ${concern}`,
    message,
    hardware_id: '',
    values,
  });
  const node = status('node', failure === undefined ? LEVEL.ok : LEVEL.error, failure ?? state, [
    value('state', state),
    value('checkpoint', checkpoint),
    value('backend', backend),
  ]);
  if (statistics === undefined) return [node];

  const faults = [...report.present, ...recent.faults];
  const about = (concern: string): ((code: string) => boolean) => {
    return (code) => (CONCERN[code] ?? 'control') === concern;
  };
  const worstOf = (concern: string): [Level, string] => worst(faults.filter(({ code }) => about(concern)(code)));
  const counts = (concern: string): KeyValue[] => [
    ...Object.entries(statistics.faults)
      .filter(([code]) => about(concern)(code))
      .map(([code, count]) => value(`fault.${code}`, count)),
    ...report.present
      .filter(({ code }) => about(concern)(code))
      .map(({ code, message }) => value(`present.${code}`, message)),
  ];

  const last = statistics.lastRefusal;
  const [inputsLevel, inputsFault] = worstOf('inputs');
  const inputsWords: [Level, string] =
    recent.refusal !== undefined
      ? [LEVEL.warn, recent.refusal.toString()]
      : [inputsLevel, inputsLevel === LEVEL.ok ? 'nothing refused' : inputsFault];
  const inputs = status('inputs', ...inputsWords, [
    value('observations', statistics.observations),
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
  const engine = status('engine', ...worstOf('engine'), [
    value('chunks', statistics.chunks),
    value('chunks_outdated', statistics.outdated),
    ...percentiles('inference_ms', statistics.inferenceMs),
    ...percentiles('latency_ms', statistics.latencyMs),
    ...counts('engine'),
  ]);
  const control = status('control', ...worstOf('control'), [
    ...Object.entries(statistics.commands).map(([reason, count]) => value(`commands.${reason}`, count)),
    ...percentiles('tick_lateness_ms', statistics.tickLatenessMs),
    ...counts('control'),
  ]);
  return [node, inputs, engine, control];
}

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

/** What went wrong in one second. */
export class RecentEvents {
  refusal: Refusal | undefined;
  readonly faults = new Map<FaultCode, Pi05Error<FaultCode>>();
}

/** Of two seconds, so that what is said again about once a second is there until it has ended. */
export function mergeRecent(before: RecentEvents, now: RecentEvents): Recent {
  return {
    refusal: now.refusal ?? before.refusal,
    faults: [...new Map([...before.faults, ...now.faults]).values()],
  };
}

/**
 * Publishes `/diagnostics` once a second, and what is new at once: at most once a control tick, so that what comes in
 * between is out one tick later.
 */
export class Diagnostics {
  readonly #publisher: Publisher;
  readonly #interval: NodeJS.Timeout;
  /** Set for one tick after each publication of news. */
  #pause: NodeJS.Timeout | undefined;
  #news = false;
  #closed = false;
  /** What went wrong since the last publication of the second, and in the second before. */
  #now = new RecentEvents();
  #before = new RecentEvents();

  constructor(
    private readonly node: LifecycleNode,
    private readonly tickMs: number,
    private readonly report: () => Report,
  ) {
    this.#publisher = node.createPublisher(ROS_TYPE.DiagnosticArray, '/diagnostics');
    this.#interval = setInterval(() => {
      this.publish();
      this.#before = this.#now;
      this.#now = new RecentEvents();
    }, PERIOD_MS);
  }

  publish(): void {
    const recent = mergeRecent(this.#before, this.#now);
    this.#publisher.publish({
      header: { stamp: toRosTime(this.node.getClock().now().nanoseconds), frame_id: '' },
      status: statuses(this.node.getFullyQualifiedName(), this.report(), recent),
    });
  }

  refusal(refusal: Refusal): void {
    this.#now.refusal = refusal;
    this.change();
  }

  fault(fault: Pi05Error<FaultCode>): void {
    this.#now.faults.set(fault.code, fault);
    this.change();
  }

  /** There is news. */
  change(): void {
    if (this.#closed) return;
    this.#news = this.#pause !== undefined;
    if (this.#news) return;
    this.publish();
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#news) this.change();
    }, this.tickMs);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#interval);
    clearTimeout(this.#pause);
  }
}
