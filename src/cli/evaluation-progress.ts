import type { EpisodeRecord } from './evaluation-plan.js';
import type { Progress } from './progress.js';

/** A line with the number of episodes that have ended, the successes of the plain runs and the remaining time. */
export class EvaluationProgress {
  readonly #counts = new Map<string, { succeeded: number; ended: number }>();
  #ended = 0;
  readonly #begin: number;

  /** @param remaining episodes to run. */
  constructor(
    private readonly progress: Pick<Progress, 'show' | 'end'>,
    private readonly remaining: number,
    /** Monotonic, ms. */
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.#begin = clock();
  }

  start(): void {
    this.progress.show('Starting the simulated arm and the policy node …');
  }

  add({ task, control, success }: EpisodeRecord): void {
    this.#ended++;
    if (control === 'none') {
      const count = this.#counts.get(task) ?? { succeeded: 0, ended: 0 };
      this.#counts.set(task, { succeeded: count.succeeded + Number(success), ended: count.ended + 1 });
    }
    const counts = [...this.#counts].map(([name, { succeeded, ended }]) => `${name} ${succeeded}/${ended}`).join(', ');
    const minutes = (((this.clock() - this.#begin) / this.#ended) * (this.remaining - this.#ended)) / 60_000;
    const left = minutes < 1 ? 'less than a minute' : `${Math.round(minutes)} min`;
    this.progress.show(`${this.#ended} of ${this.remaining} episodes, ${left} left: ${counts}`);
  }

  end(): void {
    this.progress.end();
  }
}
