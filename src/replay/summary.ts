import type { ModelInfo } from '../engine/engine.js';
import type { Evaluation, SeamResult } from '../report/data.js';
import type { Percentiles } from '../statistics.js';
import type { Bag } from './bag/bag.js';
import type { ComparisonResult } from './comparison.js';
import type { ReplayOutcome } from './runner.js';

interface JsonPercentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

/** The results of a replay, as `--json` contains them. */
export interface ReplaySummary {
  readonly bag: string;
  readonly params: string;
  readonly backend: ModelInfo['backend'];
  /** Replayed bag time and the wall time it took; `engine` is the part of the wall time spent waiting for the engine. */
  readonly seconds: { readonly bag: number; readonly wall: number; readonly engine: number };
  /** Why only part of the bag was readable, and notes on the bag. */
  readonly damage: string | null;
  readonly notes: readonly string[];
  /** Frames by the camera's name. */
  readonly cameras: ReplayOutcome['statistics']['cameras'];
  readonly observations: number;
  readonly chunks: number;
  /** Chunks that arrived too late to be used. */
  readonly outdated: number;
  readonly commands: ReplayOutcome['statistics']['commands'];
  readonly refusals: ReplayOutcome['statistics']['refusals'];
  readonly faults: ReplayOutcome['statistics']['faults'];
  readonly failure: string | null;
  readonly inference_ms: JsonPercentiles;
  readonly latency_ms: JsonPercentiles;
  readonly seams: SeamResult;
  readonly evaluation: Evaluation;
  /** The result of `--expect`. */
  readonly expect?: ComparisonResult;
}

export function replaySummary(
  names: { readonly bag: string; readonly params: string },
  { backend }: ModelInfo,
  { notes }: Bag,
  outcome: ReplayOutcome,
  seams: SeamResult,
  evaluation: Evaluation,
  expect: ComparisonResult | undefined,
): ReplaySummary {
  const { cameras, observations, chunks, outdated, commands, refusals, faults } = outcome.statistics;
  return {
    ...names,
    backend,
    seconds: { bag: outcome.seconds, wall: outcome.wallSeconds, engine: outcome.engineSeconds },
    damage: outcome.damage ?? null,
    notes: [...notes, ...outcome.notes],
    cameras,
    observations,
    chunks,
    outdated,
    commands,
    refusals,
    faults,
    failure: outcome.failure?.toString() ?? null,
    inference_ms: json(outcome.inferenceMs),
    latency_ms: json(outcome.latencyMs),
    seams,
    evaluation,
    ...(expect === undefined ? {} : { expect }),
  };
}

function json({ p50, p95, p99 }: Percentiles): JsonPercentiles {
  return { p50: p50 ?? null, p95: p95 ?? null, p99: p99 ?? null };
}
