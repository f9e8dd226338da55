import type { PolicyConfig } from '../config/config.js';
import { describeMissingLimits } from '../config/limits.js';
import { Pi05Error, type FaultCode } from '../errors.js';
import { CLOCK_TIMEOUT } from '../time.js';
import { clockStill } from './clock-ticker.js';
import type { NodeTime } from './node-time.js';
import { graphFaults, sharedOutputs } from './graph.js';
import { GraphChanges } from './graph-changes.js';
import { incompatibleInputs, silentInputs, unheardOutputs } from './graph-endpoints.js';
import type { Log } from './log.js';
import type { LifecycleNode } from './rcl.js';

/** While `action.limits` is `none`, the log repeats it at this interval, ms. */
const LIMITS_NONE_PERIOD_MS = 30_000;
/** Without a change in the ROS graph, it is checked at this interval, ms: the names of nodes arrive later than their endpoints. */
const GRAPH_PERIOD_MS = 1000;
/** Inputs from which nothing has come are reported this long after the activation, ms. */
const SILENT_AFTER_MS = 3000;
/** Command topics without a listener are reported after this time, ms: discovery is not instant. */
const UNHEARD_AFTER_MS = 1000;
/** Without a change in the ROS graph, other commanders are searched for at this interval, ms. */
const COMMANDERS_PERIOD_MS = 200;

type Faults = readonly Pi05Error<FaultCode>[];

export interface FaultMonitorHandlers {
  /** The faults may have changed: call `check` soon. */
  readonly onChange: () => void;
  /** Receives what the ROS graph throws. */
  readonly onError: (error: unknown) => void;
}

/**
 * Faults outside the pipeline that hold while the node is active: a clock that does not advance, conflicts in the ROS graph,
 * other commanders. Changes in the graph are looked for in each control period.
 */
export class FaultMonitor {
  /** The faults of the last check. */
  #faults: Faults = [];
  #limitsLoggedAt = -Infinity;
  #graph: { readonly checkedAt: number; readonly faults: Faults } | undefined;
  #shared: Faults = [];
  #commandersCheckedAt = 0;
  /** Command topics without a listener, with the time since when, ms. */
  #unheardSince: ReadonlyMap<string, number> = new Map();
  #activeSince = 0;
  /** When a fault that needs time becomes one, ms; the next check of the graph finds it. */
  #dueAt = Infinity;
  #watch: NodeJS.Timeout | undefined;

  /** @param periodMs one control period. @param now a steady time, ms. */
  constructor(
    private readonly node: LifecycleNode,
    private readonly time: NodeTime,
    private readonly lockstep: boolean,
    private readonly periodMs: number,
    private readonly log: Log,
    private readonly handlers: FaultMonitorHandlers,
    private readonly now = (): number => performance.now(),
  ) {}

  /**
   * Searches for other commanders now, and if there are none for all changes in the ROS graph in each control period until `stop`.
   * @param isOwn see `sharedOutputs`. @param onCommanders called when other commanders appear, with the fault, and when they have gone, with
   * undefined.
   * @returns the faults at present; if there are any, nothing is watched.
   */
  start(
    resolved: PolicyConfig,
    isOwn: (prefix: string) => boolean,
    onCommanders: (fault: Pi05Error<FaultCode> | undefined) => void,
  ): Faults {
    this.stop();
    const search = (): Faults => (resolved.safety.allowSharedOutputs ? [] : sharedOutputs(this.node, resolved, isOwn));
    const present = search();
    if (present.length > 0) return present;
    this.#graph = undefined;
    this.#unheardSince = new Map();
    this.#activeSince = this.now();
    const changes = new GraphChanges(this.node, resolved);
    this.#watch = setInterval(() => {
      try {
        this.#watchCommanders(changes.commanders(), search, onCommanders);
        this.#watchEndpoints(changes.endpoints());
      } catch (error) {
        this.handlers.onError(error);
      }
    }, this.periodMs);
    return [];
  }

  stop(): void {
    clearInterval(this.#watch);
    this.#shared = [];
    this.#dueAt = Infinity;
  }

  #watchCommanders(
    changed: boolean,
    search: () => Faults,
    onCommanders: (fault: Pi05Error<FaultCode> | undefined) => void,
  ): void {
    if (!changed && this.now() - this.#commandersCheckedAt < COMMANDERS_PERIOD_MS) return;
    this.#commandersCheckedAt = this.now();
    const before = this.#shared;
    this.#shared = search();
    if (before.length > 0 === this.#shared.length > 0) return;
    onCommanders(this.#shared[0]);
    this.handlers.onChange();
  }

  #watchEndpoints(changed: boolean): void {
    if (!changed && this.now() < this.#dueAt) return;
    this.#graph = undefined;
    this.#dueAt = Infinity;
    this.handlers.onChange();
  }

  /**
   * The faults that hold now; each is logged on its onset.
   * @param resolved the configuration of an active node, with resolved topics; undefined while the node is inactive.
   * @param heard topics from which a message has come.
   */
  check(resolved: PolicyConfig | undefined, heard: ReadonlySet<string> = new Set()): Faults {
    const faults =
      resolved === undefined
        ? []
        : [...this.#clockFaults(), ...this.#graphFaults(resolved, heard), ...this.#shared, ...limitFaults(resolved)];
    const previous = this.#faults;
    for (const fault of faults) {
      const begins = !previous.some(({ code, source }) => code === fault.code && source === fault.source);
      if (this.#repeats(fault.code) || begins) this.log.warn(fault.toString());
    }
    this.#faults = faults;
    return faults;
  }

  #repeats(code: FaultCode): boolean {
    const now = performance.now();
    if (code !== 'LIMITS_NONE' || now - this.#limitsLoggedAt < LIMITS_NONE_PERIOD_MS) return false;
    this.#limitsLoggedAt = now;
    return true;
  }

  /** In lock-step `/clock` waits for inferences: only its absence is a fault. */
  #clockFaults(): Faults {
    const { unchangedFor, known } = this.time;
    if (unchangedFor <= CLOCK_TIMEOUT || (known && this.lockstep)) return [];
    return [clockStill(unchangedFor)];
  }

  #graphFaults(resolved: PolicyConfig, heard: ReadonlySet<string>): Faults {
    const now = this.now();
    if (this.#graph === undefined || now - this.#graph.checkedAt >= GRAPH_PERIOD_MS) {
      this.#graph = { checkedAt: now, faults: [] };
      try {
        const faults = [
          ...graphFaults(this.node, resolved, this.time.simulated),
          ...this.#unheardOutputs(resolved, now),
          ...incompatibleInputs(this.node, resolved),
          ...this.#silentInputs(resolved, heard, now),
        ];
        this.#graph = { checkedAt: now, faults };
      } catch (error) {
        this.handlers.onError(error);
      }
    }
    return this.#graph.faults;
  }

  #unheardOutputs(resolved: PolicyConfig, now: number): Faults {
    const unheard = unheardOutputs(this.node, resolved);
    this.#unheardSince = new Map(unheard.map(({ source }) => [source!, this.#unheardSince.get(source!) ?? now]));
    return unheard.filter(({ source }) => this.#isDue(this.#unheardSince.get(source!)! + UNHEARD_AFTER_MS, now));
  }

  #silentInputs(resolved: PolicyConfig, heard: ReadonlySet<string>, now: number): Faults {
    return this.#isDue(this.#activeSince + SILENT_AFTER_MS, now) ? silentInputs(this.node, resolved, heard) : [];
  }

  #isDue(time: number, now: number): boolean {
    if (now < time && time < this.#dueAt) this.#dueAt = time;
    return now >= time;
  }
}

/** LIMITS_NONE for as long as `action.limits` is `none`. */
function limitFaults(config: PolicyConfig): Faults {
  if (config.limits === 'finite') return [];
  const missing = describeMissingLimits(config);
  const received =
    missing === '' ? 'none, although every limit is there: remove it' : `none; without a limit: ${missing}`;
  return [new Pi05Error('LIMITS_NONE', `Expected action.limits: finite, received ${received}`, 'action.limits')];
}
