import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';

import { errorMessage } from '../errors.js';
import { usage } from './arguments.js';
import { type Condition, type EpisodeRecord, recordKey } from './evaluation-plan.js';

/**
 * The records of one run, kept in memory and, with a file, appended to it as JSON lines. Records of other runs in the file
 * stay there and are ignored, so a changed checkpoint or parameter starts from the beginning.
 */
export class EvaluationRecords {
  readonly #records = new Map<string, EpisodeRecord>();

  /** @param file is read if it exists. @throws Pi05Error USAGE if it contains something else. */
  constructor(
    private readonly run: string,
    private readonly file?: string,
  ) {
    if (file === undefined || !existsSync(file)) return;
    const text = readFileSync(file, 'utf8');
    // A process that was killed while it wrote leaves half a line at the end.
    const complete = text.slice(0, text.lastIndexOf('\n') + 1);
    truncateSync(file, Buffer.byteLength(complete));
    for (const [index, line] of complete.split('\n').slice(0, -1).entries()) {
      try {
        const record = JSON.parse(line) as EpisodeRecord;
        if (record.run === run) this.#records.set(recordKey(record, record.episode), record);
      } catch (error) {
        throw usage('eval', `Expected a record in ${file} line ${index + 1}: ${errorMessage(error)}`);
      }
    }
  }

  has(condition: Condition, episode: number): boolean {
    return this.#records.has(recordKey(condition, episode));
  }

  add(condition: Condition, result: Omit<EpisodeRecord, 'run' | keyof Condition>): EpisodeRecord {
    const record: EpisodeRecord = { run: this.run, ...condition, ...result };
    this.#records.set(recordKey(condition, record.episode), record);
    if (this.file !== undefined) appendFileSync(this.file, `${JSON.stringify(record)}\n`);
    return record;
  }

  /** The record of an episode. */
  get(condition: Condition, episode: number): EpisodeRecord | undefined {
    return this.#records.get(recordKey(condition, episode));
  }
}
