import { writeFile } from 'node:fs/promises';
import type { Evaluation } from '../evaluation.js';
import type { ReportCollector } from './collector.js';
import { page } from './page.js';
import type { ReportSummary } from './page.js';

export type { ReportSummary } from './page.js';

/** Writes one HTML file that needs nothing else to be looked at. */
export async function writeReport(
  path: string,
  collector: ReportCollector,
  evaluation: Evaluation,
  summary: ReportSummary,
): Promise<void> {
  await writeFile(path, page(collector.config, await collector.data(), evaluation, summary));
}
