/** The stream of a progress line, such as stderr. */
export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Between two lines where the output is no terminal. */
const INTERVAL_MS = 5000;

/** A progress line that is overwritten on a terminal; elsewhere a new line every five seconds. */
export class Progress {
  #shown = false;
  #last: number | undefined;

  constructor(
    private readonly output: Output,
    /** Monotonic, ms. */
    private readonly clock: () => number = () => performance.now(),
  ) {}

  show(text: string): void {
    if (this.output.isTTY === true) {
      this.output.write(`\r\x1b[K${text}`);
      this.#shown = true;
      return;
    }
    const now = this.clock();
    if (this.#last !== undefined && now - this.#last < INTERVAL_MS) return;
    this.#last = now;
    this.output.write(`${text}\n`);
  }

  /** Writes a line that stays, in place of the progress line. */
  print(text: string): void {
    this.output.write(this.output.isTTY === true ? `\r\x1b[K${text}\n` : `${text}\n`);
    this.#shown = false;
  }

  /** Ends the line, so that further output starts on a new one. */
  end(): void {
    if (this.#shown) this.output.write('\n');
    this.#shown = false;
  }
}
