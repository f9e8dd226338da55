import type { Pi05Error, Refusal, FaultCode } from '../errors.js';
import { ROS_TYPE } from '../messages/types.js';
import { toRosTime } from '../time.js';
import { mergeRecent, motionStatus, RecentEvents, type NodeReport, statuses } from './diagnostic-status.js';
import type { NodeTime } from './node-time.js';
import type { LifecycleNode, Publisher } from './rcl.js';

/** Time between two publications while nothing changes, ms. */
const PERIOD_MS = 1000;

/**
 * Publishes `/diagnostics`, and of it the motion on `~/status`, once per second, and at once when something changes, but at most once per control tick: a
 * change within a tick is published at its end.
 */
export class Diagnostics {
  readonly #publisher: Publisher;
  readonly #motion: Publisher;
  readonly #interval: NodeJS.Timeout;
  /** Runs for one tick after a change was published. */
  #pause: NodeJS.Timeout | undefined;
  /** Whether something changed during the pause. */
  #changed = false;
  #closed = false;
  /** Events since the last periodic publication. */
  #current = new RecentEvents();
  /** Events of the second before it. */
  #previous = new RecentEvents();

  constructor(
    private readonly node: LifecycleNode,
    private readonly time: NodeTime,
    private readonly tickMs: number,
    private readonly report: () => NodeReport,
  ) {
    this.#publisher = node.createPublisher(ROS_TYPE.DiagnosticArray, '/diagnostics');
    this.#motion = node.createPublisher(ROS_TYPE.DiagnosticStatus, '~/status');
    this.#interval = setInterval(() => {
      this.publish();
      this.#previous = this.#current;
      this.#current = new RecentEvents();
    }, PERIOD_MS);
  }

  publish(): void {
    const recent = mergeRecent(this.#previous, this.#current);
    const report = this.report();
    const name = this.node.getFullyQualifiedName();
    this.#publisher.publish({
      header: { stamp: toRosTime(this.time.now()), frame_id: '' },
      status: statuses(name, report, recent),
    });
    if (report.statistics !== undefined) this.#motion.publish(motionStatus(name, report.statistics));
  }

  addRefusal(refusal: Refusal): void {
    this.#current.refusal = refusal;
    this.publishChange();
  }

  addFault(fault: Pi05Error<FaultCode>): void {
    this.#current.faults.set(fault.code, fault);
    this.publishChange();
  }

  /** Publishes the new state, at once or at the end of the tick. */
  publishChange(): void {
    if (this.#closed) return;
    this.#changed = this.#pause !== undefined;
    if (this.#changed) return;
    this.publish();
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#changed) this.publishChange();
    }, this.tickMs);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#interval);
    clearTimeout(this.#pause);
  }
}
