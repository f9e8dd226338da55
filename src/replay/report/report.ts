import type { Evaluation } from '../evaluation.js';
import type { AtomicFile } from '../atomic-file.js';
import type { ReportCollector } from './collector.js';
import { page } from './page.js';
import type { ReportSummary } from './page.js';

export type { ReportSummary } from './page.js';

/** Writes one HTML file that needs nothing else to be looked at. @throws Pi05Error BAG_FILE. */
export async function writeReport(
  file: AtomicFile,
  collector: ReportCollector,
  evaluation: Evaluation,
  summary: ReportSummary,
): Promise<void> {
  await file.write(page(collector.config, await collector.data(), evaluation, summary));
  await file.finish();
}
