import type { PolicyConfig } from '../config/config.js';
import { describeMissingLimits } from '../config/limits.js';
import { Pi05Error, type FaultCode } from '../errors.js';
import { CLOCK_TIMEOUT } from '../time.js';
import { clockStill } from './clock-ticker.js';
import type { NodeTime } from './node-time.js';
import { graphFaults, sharedOutputs } from './graph.js';
import { incompatibleInputs, silentInputs, unheardOutputs } from './graph-endpoints.js';
import type { Log } from './log.js';
import type { LifecycleNode } from './rcl.js';

/** While `action.limits` is `none`, the log repeats it at this interval, ms. */
const LIMITS_NONE_PERIOD_MS = 30_000;
/** Time between two checks of the ROS graph, ms. */
const GRAPH_PERIOD_MS = 1000;
/** Inputs from which nothing has come are reported this long after the activation, ms. */
const SILENT_AFTER_MS = 3000;

type Faults = readonly Pi05Error<FaultCode>[];

/** Time between two searches for other commanders, ms. */
const COMMANDERS_PERIOD_MS = 200;

/**
 * Faults outside the pipeline that hold while the node is active: a clock that does not advance, conflicts in the ROS graph,
 * other commanders.
 */
export class FaultMonitor {
  /** The faults of the last check. */
  #faults: Faults = [];
  #limitsLoggedAt = -Infinity;
  #graph: { readonly checkedAt: number; readonly faults: Faults } | undefined;
  #shared: Faults = [];
  /** Command topics without a listener in the last check. */
  #unheard: Faults = [];
  #activeSince = 0;
  #watch: NodeJS.Timeout | undefined;

  constructor(
    private readonly node: LifecycleNode,
    private readonly time: NodeTime,
    private readonly lockstep: boolean,
    private readonly log: Log,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Makes the next check query the ROS graph, even if the last query was less than `GRAPH_PERIOD_MS` ago. */
  reset(): void {
    this.#graph = undefined;
    this.#unheard = [];
    this.#activeSince = performance.now();
  }

  /**
   * Searches for other commanders now and then every `COMMANDERS_PERIOD_MS` until `ignoreCommanders`.
   * @param isOwn see `sharedOutputs`. @param onChange called when they appear, with the fault, and when they have gone, with undefined.
   * @returns the faults at present; if there are any, nothing is watched.
   */
  watchCommanders(
    resolved: PolicyConfig,
    isOwn: (prefix: string) => boolean,
    onChange: (fault: Pi05Error<FaultCode> | undefined) => void,
  ): Faults {
    this.ignoreCommanders();
    if (resolved.safety.allowSharedOutputs) return [];
    const present = sharedOutputs(this.node, resolved, isOwn);
    if (present.length > 0) return present;
    this.#watch = setInterval(() => {
      try {
        const before = this.#shared;
        this.#shared = sharedOutputs(this.node, resolved, isOwn);
        if (before.length > 0 !== this.#shared.length > 0) onChange(this.#shared[0]);
      } catch (error) {
        this.onError(error);
      }
    }, COMMANDERS_PERIOD_MS);
    return [];
  }

  ignoreCommanders(): void {
    clearInterval(this.#watch);
    this.#shared = [];
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
    const now = performance.now();
    if (this.#graph === undefined || now - this.#graph.checkedAt >= GRAPH_PERIOD_MS) {
      this.#graph = { checkedAt: now, faults: [] };
      try {
        const faults = [
          ...graphFaults(this.node, resolved, this.time.simulated),
          ...this.#endpointFaults(resolved, heard, now),
        ];
        this.#graph = { checkedAt: now, faults };
      } catch (error) {
        this.onError(error);
      }
    }
    return this.#graph.faults;
  }

  /** Discovery takes time: a command topic without a listener is reported in the second check that finds none. */
  #endpointFaults(resolved: PolicyConfig, heard: ReadonlySet<string>, now: number): Faults {
    const before = this.#unheard;
    this.#unheard = unheardOutputs(this.node, resolved);
    return [
      ...this.#unheard.filter(({ source }) => before.some((fault) => fault.source === source)),
      ...incompatibleInputs(this.node, resolved),
      ...(now - this.#activeSince < SILENT_AFTER_MS ? [] : silentInputs(this.node, resolved, heard)),
    ];
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
