import type { CheckpointDescription, ModelInfo } from '../engine/engine.js';
import type { StatisticsReport, TokenizerReport } from '../policy/inspect.js';

export interface Inspection {
  readonly directory: string;
  /** Whether the checkpoint has no problem; presets do not count. */
  readonly ok: boolean;
  readonly family: { readonly name: ModelInfo['family']; readonly reason: string };
  readonly model: {
    readonly imageSize: number;
    readonly patch: number;
    readonly slots: readonly string[];
    readonly resize: ModelInfo['resize'];
    readonly vision: CheckpointDescription['vision'];
    readonly prefix: CheckpointDescription['prefix'];
    readonly expert: CheckpointDescription['expert'];
    readonly actionDim: number;
    /** Steps per chunk; 0 = unknown. */
    readonly horizon: number;
    readonly flowSteps: number;
    readonly maxTokens: number;
    readonly vocab: number;
    readonly stateInPrompt: boolean;
    /** Numbers that the state in the prompt is padded to; 0 = it is not padded. */
    readonly paddedState: number;
  };
  /** Training-time real-time chunking; 0 = not trained for it. */
  readonly rtc: { readonly trainedMaxDelay: number };
  readonly weights: {
    readonly parameters: number;
    readonly bytes: number;
    readonly dtypes: CheckpointDescription['dtypes'];
  };
  /** Expected memory of an engine, bytes; null where there are no weights to calculate it from. */
  readonly memory: { readonly cpu: number; readonly cuda: number } | null;
  readonly statistics: readonly StatisticsReport[];
  readonly tokenizer: TokenizerReport | null;
  readonly presets: readonly Fit[];
  readonly problems: readonly ProblemReport[];
}

export interface Fit {
  readonly name: string;
  readonly path: string;
  readonly fits: boolean;
  readonly reasons: readonly ProblemReport[];
  /** The joints of the preset and its asset_id; undefined where the file cannot be read. */
  readonly joints: Joints | undefined;
}

export interface Joints {
  readonly assetId: string;
  readonly state: readonly string[];
  readonly actions: readonly string[];
}

export interface ProblemReport {
  readonly code: string;
  /** One sentence. */
  readonly message: string;
  readonly details: readonly string[];
}
