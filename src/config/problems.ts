import { type ErrorCode, Pi05Error } from '../errors.js';

export interface Problem {
  readonly code: ErrorCode;
  /** One sentence. */
  readonly message: string;
  /** The parameters or the file that it is about. */
  readonly about: readonly string[];
}

/**
 * Everything that is wrong with a configuration or a checkpoint, at once. `code` and `source` are the first
 * problem's; `message` has one sentence a line, from the second on with its code in front.
 */
export class ProblemsError extends Pi05Error {
  constructor(readonly problems: readonly [Problem, ...Problem[]]) {
    const [first, ...rest] = problems;
    const lines = rest.map((problem) => `${problem.code}: ${problem.message}`);
    super(first.code, [first.message, ...lines].join('\n'), first.about[0]);
  }
}

/** Collects problems. */
export class Problems {
  readonly #problems: Problem[] = [];

  add(code: ErrorCode, message: string, ...about: readonly string[]): void {
    this.#problems.push({ code, message, about });
  }

  /** Adds what `error` says if it is one of ours; rethrows anything else. */
  addError(error: unknown): void {
    if (error instanceof ProblemsError) this.#problems.push(...error.problems);
    else if (error instanceof Pi05Error) {
      const { code, message, source } = error as Pi05Error;
      this.add(code, message, ...(source === undefined ? [] : [source]));
    } else throw error;
  }

  /** Whether there is a problem with one of these parameters already. */
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
