import type { ScheduleConfig } from '../config/config.js';
import type { ActionChunk } from '../frame/frame.js';
import { toSeconds } from '../time.js';
import { LatencyEstimate } from './latency-estimate.js';
import { MODES } from './modes/modes.js';
import type { ExecutionMode, Plan } from './modes/mode.js';

const MAX_STEP_TIMES = 1024;

/** The plan, and how the next chunk continues it. Counts the steps that are executed, so that chunks can be aligned. */
export class Planner {
  readonly #mode: ExecutionMode;
  readonly #replanSteps: number;
  readonly #latency = new LatencyEstimate();
  #plan: Plan | undefined;
  /** Times of the ticks that executed a step of a chunk, oldest first. */
  #stepTimes: bigint[] = [];

  constructor({ mode, replanSteps }: ScheduleConfig) {
    this.#mode = MODES[mode];
    this.#replanSteps = replanSteps;
  }

  get plan(): Plan | undefined {
    return this.#plan;
  }

  /** From an observation to its chunk, ns; 0 = not known yet. */
  get latency(): bigint {
    return this.#latency.p95;
  }

  get executesDuringInference(): boolean {
    return this.#mode.executesDuringInference;
  }

  /** Whether so much of the plan was executed that the next chunk is requested. */
  get wantsChunk(): boolean {
    return this.#plan === undefined || this.#plan.nextRow >= this.replanRow(this.#plan);
  }

  /** The row of the plan at which the next chunk is requested. */
  replanRow({ chunk }: Plan): number {
    return Math.min(this.#replanSteps, chunk.rows);
  }

  /** The row at which the plan ends. */
  endRow(plan: Plan): number {
    return this.#mode.executesDuringInference ? plan.chunk.rows : this.replanRow(plan);
  }

  /** Drops the plan. Nothing from before is merged with what comes. */
  reset(): void {
    this.#plan = undefined;
    this.#stepTimes = [];
  }

  forgetLatency(): void {
    this.#latency.forget();
  }

  /** Drops the plan, but not the steps that were executed. */
  dropPlan(): void {
    this.#plan = undefined;
  }

  /** @returns what would be executed if `chunk` was used, which arrived at `now`, ns. */
  merge(chunk: ActionChunk, now: bigint): Plan {
    this.#latency.add(now - chunk.stamp);
    this.#stepTimes = this.#stepTimes.filter((time) => time >= chunk.stamp);
    // Never skips more steps than were executed since the observation.
    const estimatedSteps = Math.ceil(toSeconds(this.#latency.p95) / chunk.period);
    return this.#mode.merge({ chunk, passedSteps: Math.min(estimatedSteps, this.#stepTimes.length) });
  }

  /** The next step is one of `plan`. */
  use(plan: Plan): void {
    this.#plan = plan;
  }

  /** The next step of the plan was executed at `now`, ns. */
  countStep(now: bigint): void {
    this.#plan!.nextRow++;
    this.#stepTimes.push(now);
    if (this.#stepTimes.length > MAX_STEP_TIMES) this.#stepTimes.shift();
  }
}
