import type { SeamResult } from '../report/data.js';
import type { MotionQuality, Seam } from '../schedule/seam.js';
import { percentiles } from '../statistics.js';
import { toSeconds } from '../time.js';
import type { ReplayListener } from './listener.js';

/** The seams between the chunks of a replay. */
export class SeamSummary implements ReplayListener {
  readonly #jumps: number[] = [];
  readonly #disagreements: number[] = [];
  #largest: { readonly seam: Seam; readonly logTime: bigint } | undefined;
  #start: bigint | undefined;
  #latest = 0n;

  setLogTime(logTime: bigint): void {
    this.#start ??= logTime;
    this.#latest = logTime;
  }

  seam(seam: Seam): void {
    this.#jumps.push(seam.jump);
    if (seam.disagreement !== undefined) this.#disagreements.push(seam.disagreement);
    if (this.#largest === undefined || seam.jump > this.#largest.seam.jump) {
      this.#largest = { seam, logTime: this.#latest };
    }
  }

  /** The number of seams with a jump above `limit`. */
  countAbove(limit: number): number {
    return this.#jumps.filter((jump) => jump > limit).length;
  }

  result({ jerkRms, jerkMax, idleSteps }: MotionQuality): SeamResult {
    const largest = this.#largest;
    return {
      count: this.#jumps.length,
      jump: summary(this.#jumps),
      largest:
        largest === undefined
          ? null
          : {
              seconds: toSeconds(largest.logTime - (this.#start ?? largest.logTime)),
              joint: largest.seam.joint,
            },
      disagreement: summary(this.#disagreements),
      jerk: { rms: jerkRms, max: jerkMax },
      idle_steps: idleSteps,
    };
  }
}

function summary(values: readonly number[]): SeamResult['jump'] {
  const { p50, p95, p99 } = percentiles([...values]);
  if (p50 === undefined || p95 === undefined || p99 === undefined)
    return { p50: null, p95: null, p99: null, max: null };
  return { p50, p95, p99, max: values.reduce((a, b) => Math.max(a, b)) };
}
