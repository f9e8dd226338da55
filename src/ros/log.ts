import type { Logger } from './rcl.js';

const SECOND = 1_000_000_000n;

export type Severity = 'info' | 'warn' | 'error';

/** Log lines with a code, each code at most once a second; what was left out is counted in the next line. */
export class Log {
  readonly #lines = new Map<string, { at: bigint; suppressed: number }>();

  constructor(
    private readonly logger: Logger,
    /** Steady time, ns. */
    private readonly steady: () => bigint = () => process.hrtime.bigint(),
  ) {}

  info(message: string): void {
    this.logger.info(message);
  }

  warn(message: string): void {
    this.logger.warn(message);
  }

  error(message: string): void {
    this.logger.error(message);
  }

  coded(severity: Severity, code: string, message: string): void {
    const now = this.steady();
    const line = this.#lines.get(code);
    if (line !== undefined && now - line.at < SECOND) {
      line.suppressed++;
      return;
    }
    const more = line !== undefined && line.suppressed > 0 ? ` (and ${line.suppressed} more like it)` : '';
    this.#lines.set(code, { at: now, suppressed: 0 });
    this.logger[severity](`${code}: ${message}${more}`);
  }
}
