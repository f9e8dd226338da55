import type { InferRequest } from '../engine/engine.js';
import type { FaultCode, Pi05Error, Refusal } from '../errors.js';
import type { ActionChunk, Command, Observation } from '../frame/frame.js';
import type { Seam } from '../schedule/seam.js';

/** The part of a policy that the pipeline needs. */
export interface PolicyLike {
  /** @throws Refusal PROMPT_EMPTY, PROMPT_TOO_LONG. */
  prepare(observation: Observation): Pick<InferRequest, 'images' | 'tokens' | 'noise'>;
  /**
   * The rows of a chunk from `firstRow` on as normalised actions [rows − firstRow, action dim]. Deltas are relative to the state of
   * `observation`.
   */
  previousActions(chunk: ActionChunk, firstRow: number, observation: Observation): Float32Array;
  /** The engine's normalised actions in the robot's units. */
  finish(actions: Float32Array, observation: Observation): ActionChunk;
}

/**
 * Receives the results. A `chunk` that throws counts as an engine failure: the robot is stopped. `fault` must not throw.
 */
export interface PipelineSink {
  /** Called once for each accepted chunk, when it is accepted. */
  chunk(chunk: ActionChunk, timing: ChunkTiming): void;
  /** @param cause why the robot is stopped; undefined for other commands and at a deactivation. */
  command(command: Command, cause?: Pi05Error<FaultCode>): void;
  /** The newest command was the first step of a new plan. */
  seam?(seam: Seam): void;
  /** Each refused message. A condition that lasts: on onset, then at most once per second until cleared. */
  refusal(refusal: Refusal): void;
  /** As for `refusal`. */
  fault(fault: Pi05Error<FaultCode>): void;
}

export interface ChunkTiming {
  /** Time that the engine took. */
  readonly inferenceMs: number;
  /** From the observation's stamp to the acceptance of the chunk. */
  readonly latencyMs: number;
}

/** An inference, from its start to the arrival of its chunk. */
export interface Inference {
  /** The chunk does not arrive before this time, ns; 0 = as soon as it is computed. */
  arrivesAt: bigint;
  /** Resolves when the engine is done. */
  readonly computed: Promise<void>;
  /** Handles the result; undefined while the engine computes it. */
  handleResult: (() => void) | undefined;
  /** The prompt has changed since it started. */
  promptChanged: boolean;
}
