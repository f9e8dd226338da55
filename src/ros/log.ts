import { ReportThrottle } from '../report-throttle.js';
import type { Logger } from './rcl.js';

export type Severity = 'info' | 'warn' | 'error';

/** Log lines with a code, each code at most once a second; what was left out is counted in the next line. */
export class Log {
  readonly #throttle = new ReportThrottle();

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
    if (!this.#throttle.shouldReport(code, this.steady())) return;
    const suppressed = this.#throttle.suppressedBefore(code);
    const more = suppressed > 0 ? ` (and ${suppressed} more like it)` : '';
    this.logger[severity](`${code}: ${message}${more}`);
  }
}
