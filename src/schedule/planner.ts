import type { PolicyConfig } from '../config/config.js';
import type { ActionChunk } from '../frame/frame.js';
import { toSeconds } from '../time.js';
import { LatencyEstimate } from './latency-estimate.js';
import { MODES } from './modes/modes.js';
import type { Conditioning, ExecutionMode, Plan } from './modes/mode.js';

const MAX_STEP_TIMES = 1024;

/** A chunk and the number of the step that its first row belongs to. */
interface MergedChunk {
  readonly chunk: ActionChunk;
  readonly firstStep: number;
}

/** The steps of the plan that the next chunk is made to agree with, and how. */
export interface Continuation {
  readonly chunk: ActionChunk;
  /** The row of `chunk` that belongs to the observation. Later rows follow up to the last. */
  readonly firstRow: number;
  readonly conditioning: Conditioning;
}

/** The plan, and how the next chunk continues it. Counts the steps that are executed, so that chunks can be aligned. */
export class Planner {
  readonly #config: PolicyConfig;
  readonly #mode: ExecutionMode;
  readonly #latency = new LatencyEstimate();
  #plan: Plan | undefined;
  /** Times of the ticks that executed a step of a chunk, oldest first. */
  #stepTimes: bigint[] = [];
  /** Number of steps executed. */
  #steps = 0;
  /** Chunks that were merged since the last reset and have steps left, oldest first. */
  #merged: MergedChunk[] = [];

  /** @param trainedMaxDelay as in `Overlap`. */
  constructor(
    config: PolicyConfig,
    private readonly trainedMaxDelay: number,
  ) {
    this.#config = config;
    this.#mode = MODES[config.schedule.mode];
  }

  get plan(): Plan | undefined {
    return this.#plan;
  }

  /** From an observation to its chunk, ns; 0 = not known yet. */
  get latency(): bigint {
    return this.#latency.p95;
  }

  /** Time from an observation to its chunk that is counted with, ns; 0 = not known yet. */
  get delay(): bigint {
    return this.#config.schedule.delay ?? this.#latency.expected;
  }

  get executesDuringInference(): boolean {
    return this.#mode.executesDuringInference;
  }

  /**
   * Whether the next chunk is requested: `replan_steps` of the plan were executed, or could have been since its observation. A first
   * chunk begins at its first step however late it arrives, so it would be too old before the next one came.
   * @param nextTick ns; undefined where it is not known.
   */
  wantsChunk(nextTick: bigint | undefined): boolean {
    const plan = this.#plan;
    if (plan === undefined || plan.nextRow >= this.replanRow(plan)) return true;
    if (!this.#mode.executesDuringInference || nextTick === undefined) return false;
    const age = toSeconds(nextTick - plan.chunk.stamp) / plan.chunk.period;
    return age >= this.replanRow(plan) - ROUNDING;
  }

  /** The row of the plan at which the next chunk is requested. */
  replanRow({ chunk }: Plan): number {
    return Math.min(this.#config.schedule.replanSteps, chunk.rows);
  }

  /** The row at which the plan ends. */
  endRow(plan: Plan): number {
    return this.#mode.executesDuringInference ? plan.chunk.rows : this.replanRow(plan);
  }

  /** Drops the plan. Nothing from before is merged with what comes. */
  reset(): void {
    this.#plan = undefined;
    this.#stepTimes = [];
    this.#merged = [];
  }

  forgetLatency(): void {
    this.#latency.forget();
  }

  /** Drops the plan, but not the steps that were executed. */
  dropPlan(): void {
    this.#plan = undefined;
    this.#merged = [];
  }

  /**
   * What a chunk of an observation at `stamp`, ns, is made to agree with, if it is requested now. Undefined where the mode wants
   * nothing, and where no step is left: the robot then holds.
   */
  continuation(stamp: bigint): Continuation | undefined {
    const plan = this.#plan;
    if (this.#mode.condition === undefined || plan === undefined || plan.nextRow >= plan.chunk.rows) return undefined;
    const { chunk, nextRow } = plan;
    const executed = this.#stepTimes.filter((time) => time >= stamp).length;
    const firstRow = Math.max(0, nextRow - executed);
    const rows = chunk.rows - firstRow;
    const delay = Math.min(Math.max(steps(this.delay, chunk), nextRow - firstRow), rows);
    const overlap = { rows, delay, trainedMaxDelay: this.trainedMaxDelay };
    const conditioning = this.#mode.condition(overlap, this.#config.schedule);
    return conditioning && { chunk, firstRow, conditioning };
  }

  /** The number of steps that the delay covers beyond what the checkpoint was trained with for `rtc_trained`; 0 in other modes. */
  get untrainedSteps(): number {
    const plan = this.#plan;
    if (this.#config.schedule.mode !== 'rtc_trained' || plan === undefined) return 0;
    return Math.max(0, steps(this.delay, plan.chunk) - this.trainedMaxDelay);
  }

  /**
   * @param now when the chunk arrived, ns. @param maxAge of the observation of an executed step, ns.
   * @returns what would be executed if `chunk` was used.
   */
  merge(chunk: ActionChunk, now: bigint, maxAge: bigint): Plan {
    this.#latency.add(now - chunk.stamp);
    this.#stepTimes = this.#stepTimes.filter((time) => time >= chunk.stamp);
    const executedSteps = this.#stepTimes.length;
    const delaySteps = steps(this.#config.schedule.delay ?? this.#latency.p95, chunk);
    const earlier = this.#merged.map((merged) => ({ chunk: merged.chunk, nextRow: this.#steps - merged.firstStep }));
    return this.#mode.merge({ chunk, executedSteps, delaySteps, earlier, now, maxAge, config: this.#config });
  }

  /** The next step is one of `plan`, which was made of `chunk`. */
  use(plan: Plan, chunk: ActionChunk): void {
    this.#plan = plan;
    this.#merged = this.#merged.filter(({ firstStep, chunk: { rows } }) => firstStep + rows > this.#steps);
    this.#merged.push({ chunk, firstStep: this.#steps - plan.nextRow });
  }

  /** The next step of the plan was executed at `now`, ns. */
  countStep(now: bigint): void {
    this.#plan!.nextRow++;
    this.#steps++;
    this.#stepTimes.push(now);
    if (this.#stepTimes.length > MAX_STEP_TIMES) this.#stepTimes.shift();
  }
}

/** Stamps are rounded to ns, so a time that is longer than some steps by less than this part of one is as long as they are. */
const ROUNDING = 1e-3;

/** The number of steps of a chunk that a time, ns, covers. */
function steps(time: bigint, { period }: ActionChunk): number {
  return Math.max(0, Math.ceil(toSeconds(time) / period - ROUNDING));
}
