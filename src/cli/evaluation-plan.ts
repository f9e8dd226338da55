import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { errorMessage, Pi05Error } from '../errors.js';

/** How episodes are run: the schedule of the node and what the policy is given. */
export interface Condition {
  /** `schedule.mode`. */
  readonly mode: string;
  /** Injected delay, ms. */
  readonly delay_ms: number;
  /** A control of sim/evaluation/controls.py; `none` is the plain run. */
  readonly control: string;
}

/** The result of one episode, as docs/evaluation.md describes it. */
export interface EpisodeRecord extends Condition {
  /** Identifies everything else that the outcome depends on. */
  readonly run: string;
  readonly episode: number;
  readonly task: string;
  readonly success: boolean;
}

/** Episodes of one condition for one node and one simulated arm. */
export interface WorkUnit {
  readonly condition: Condition;
  readonly episodes: readonly number[];
}

/** Layouts of each kind of task for a control. */
export const CONTROL_LAYOUTS = 25;

/** All conditions, and the number of episodes of each. Controls use the first layouts of the plain run. */
export function conditions(
  modes: readonly string[],
  delays: readonly number[],
  controls: readonly string[],
  episodes: number,
  tasks: number,
): { readonly condition: Condition; readonly count: number }[] {
  return modes.flatMap((mode) =>
    delays.flatMap((delay_ms) =>
      ['none', ...controls].map((control) => ({
        condition: { mode, delay_ms, control },
        count: control === 'none' ? episodes : Math.min(episodes, CONTROL_LAYOUTS * tasks),
      })),
    ),
  );
}

/**
 * Splits the episodes that have no record yet into units: at most `jobs` of each condition, each with the same share of
 * every kind of task. Tasks are dealt in turn, so a round of `tasks` episodes stays together.
 */
export function workUnits(
  planned: ReturnType<typeof conditions>,
  done: (condition: Condition, episode: number) => boolean,
  jobs: number,
  tasks: number,
): WorkUnit[] {
  return planned.flatMap(({ condition, count }) => {
    const shares: number[][] = Array.from({ length: jobs }, () => []);
    for (let episode = 0; episode < count; episode++) {
      if (!done(condition, episode)) shares[Math.floor(episode / tasks) % jobs]!.push(episode);
    }
    return shares.filter((episodes) => episodes.length > 0).map((episodes) => ({ condition, episodes }));
  });
}

/** A key of a record within one run. */
export function recordKey({ mode, delay_ms, control }: Condition, episode: number): string {
  return JSON.stringify([mode, delay_ms, control, episode]);
}

/** Files of a checkpoint that describe it and do not change what it does. */
const DESCRIPTION = /\.(md|png)$|^training\.json$/;

/** SHA-256 of the names and contents of a checkpoint's files, except for descriptions. @throws Pi05Error CHECKPOINT_MISSING. */
export function checkpointHash(directory: string): string {
  const hash = createHash('sha256');
  try {
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && !DESCRIPTION.test(entry.name),
    );
    for (const path of files.map(({ parentPath, name }) => join(parentPath, name)).sort()) {
      hash.update(`${relative(directory, path)}\0`).update(readFileSync(path));
    }
  } catch (error) {
    const sentence = `Expected a checkpoint directory at ${directory}: ${errorMessage(error)}`;
    throw new Pi05Error('CHECKPOINT_MISSING', sentence, directory);
  }
  return hash.digest('hex');
}

/** A short hash of plain data. */
export function dataHash(data: unknown): string {
  const text = JSON.stringify(data, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
