import { ReportThrottle } from '../report-throttle.js';
import type { Logger } from './rcl.js';

export type Severity = 'info' | 'warn' | 'error';

/** Writes log lines. Throttled lines are limited to one per second and code; the next one gives the number of suppressed lines. */
export class Log {
  readonly #throttle = new ReportThrottle();

  constructor(
    private readonly logger: Logger,
    /** A steady clock, ns. */
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

  throttled(severity: Severity, code: string, message: string): void {
    if (!this.#throttle.shouldReport(code, this.steady())) return;
    const suppressed = this.#throttle.suppressedBefore(code);
    const suffix = suppressed > 0 ? ` (${suppressed} similar messages suppressed)` : '';
    this.logger[severity](`${code}: ${message}${suffix}`);
  }
}
