import type { CheckpointDescription, ModelInfo } from '../engine/engine.js';
import type { StatisticsReport, TokenizerReport } from '../policy/inspect.js';

export interface Inspection {
  readonly directory: string;
  /** Whether nothing is wrong with the checkpoint. */
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
    readonly horizon: number;
    readonly flowSteps: number;
    readonly maxTokens: number;
    readonly vocab: number;
    readonly stateInPrompt: boolean;
  };
  /** Training-time real-time chunking; 0 = not trained for it. */
  readonly rtc: { readonly trainedMaxDelay: number };
  readonly weights: {
    readonly parameters: number;
    readonly bytes: number;
    readonly dtypes: CheckpointDescription['dtypes'];
  };
  /** Bytes that an engine is expected to take; null where there are no weights to tell it by. */
  readonly memory: { readonly cpu: number; readonly cuda: number } | null;
  readonly statistics: readonly StatisticsReport[];
  readonly tokenizer: TokenizerReport | null;
  readonly presets: readonly Fit[];
  readonly problems: readonly Fault[];
}

export interface Fit {
  readonly name: string;
  readonly path: string;
  readonly fits: boolean;
  readonly reasons: readonly Fault[];
  /** The joints that it names, and whose statistics they are to use; undefined where the file cannot be read. */
  readonly joints: Joints | undefined;
}

export interface Joints {
  readonly assetId: string;
  readonly state: readonly string[];
  readonly actions: readonly string[];
}

export interface Fault {
  readonly code: string;
  /** One sentence; details are one clause each. */
  readonly message: string;
  readonly details: readonly string[];
}
