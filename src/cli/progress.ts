/** What a progress line is written to. */
export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const QUIET_MS = 5000;

/** One line that is rewritten on a terminal; elsewhere a line every five seconds. */
export class Progress {
  #shown = false;
  #last: number | undefined;

  constructor(
    private readonly output: Output,
    /** ms. */
    private readonly clock: () => number = () => performance.now(),
  ) {}

  show(text: string): void {
    if (this.output.isTTY === true) {
      this.output.write(`\r\x1b[K${text}`);
      this.#shown = true;
      return;
    }
    const now = this.clock();
    if (this.#last !== undefined && now - this.#last < QUIET_MS) return;
    this.#last = now;
    this.output.write(`${text}\n`);
  }

  /** Leaves the line; what is written next begins on its own. */
  end(): void {
    if (this.#shown) this.output.write('\n');
    this.#shown = false;
  }
}
