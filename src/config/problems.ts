import { type ErrorCode, Pi05Error } from '../errors.js';

/** Something wrong with a configuration or a checkpoint. */
export interface Problem {
  readonly code: ErrorCode;
  /** One sentence. */
  readonly message: string;
  /** The parameters or the file concerned. */
  readonly about: readonly string[];
}

/**
 * All problems of a configuration or a checkpoint. `code` and `source` are those of the first problem. `message` has one
 * sentence per line; from the second line on, the code comes first.
 */
export class ProblemsError extends Pi05Error {
  constructor(readonly problems: readonly [Problem, ...Problem[]]) {
    const [first, ...rest] = problems;
    const lines = rest.map((problem) => `${problem.code}: ${problem.message}`);
    super(first.code, [first.message, ...lines].join('\n'), first.about[0]);
  }
}

/** Collects problems, so that all of them are reported at once. */
export class Problems {
  readonly #problems: Problem[] = [];

  add(code: ErrorCode, message: string, ...about: readonly string[]): void {
    this.#problems.push({ code, message, about });
  }

  /** Adds the problems of a Pi05Error; rethrows any other error. */
  addError(error: unknown): void {
    if (error instanceof ProblemsError) this.#problems.push(...error.problems);
    else if (error instanceof Pi05Error) {
      const { code, message, source } = error as Pi05Error;
      this.add(code, message, ...(source === undefined ? [] : [source]));
    } else throw error;
  }

  /** Whether there already is a problem with one of these parameters. */
  concerns(about: readonly string[]): boolean {
    return this.#problems.some((problem) => problem.about.some((name) => about.includes(name)));
  }

  get list(): readonly Problem[] {
    return this.#problems;
  }

  throwIfAny(): void {
    const [first, ...rest] = this.#problems;
    if (first !== undefined) throw new ProblemsError([first, ...rest]);
  }
}
