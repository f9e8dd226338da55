import type { Pixels } from '../frame/frame.js';

/** What a loaded checkpoint is; from `pi05_model.json`, or Pi0.5's standard dimensions without it. */
export interface ModelInfo {
  readonly family: 'openpi' | 'lerobot';
  /** Why that family was concluded, one clause. */
  readonly familyReason: string;
  readonly resize: 'pillow' | 'lerobot';
  readonly backend: 'cpu' | 'cuda';
  /** Why `auto` did not take the GPU, one sentence; empty where it did or another was asked for. */
  readonly backendReason: string;
  readonly stateInPrompt: boolean;
  /** Image slots of the model. */
  readonly slots: number;
  /**
   * Side of the square that images are resized to, in pixels. The longer side of an image is at most this many times the
   * shorter, since the shorter would be resized to 0 pixels otherwise.
   */
  readonly imageSize: number;
  readonly actionDim: number;
  readonly horizon: number;
  readonly flowSteps: number;
  readonly maxTokens: number;
  readonly vocab: number;
  /** Training-time RTC: the longest delay it was trained with; 0 = not trained for it. */
  readonly rtcTrainedMaxDelay: number;
  readonly parameters: number;
  readonly weightBytes: number;
}

/** Real-time chunking: the new chunk agrees with what is still going to be executed (execution.md's terms). */
export interface RtcRequest {
  readonly mode: 'guided' | 'trained';
  /** [rows ≤ horizon, action dim] normalised unexecuted rest of the previous chunk. */
  readonly previous: Float32Array;
  readonly previousRows: number;
  /** Delay d in steps. */
  readonly delay: number;
  /** Guided only. */
  readonly schedule?: 'linear' | 'exp' | 'ones' | 'zeros';
  /** Guided only: the row from which weights are 0. */
  readonly executionHorizon?: number;
  /** Guided only: β. */
  readonly maxWeight?: number;
}

export interface InferRequest {
  /** One entry per model slot, in slot order; undefined = no camera there, left out of the prefix. */
  readonly images: readonly (Pixels | undefined)[];
  /** Valid prompt ids only. */
  readonly tokens: Int32Array;
  /** [horizon, action dim] standard normal. */
  readonly noise: Float32Array;
  /** Flow steps; the checkpoint's own number where absent. */
  readonly steps?: number;
  readonly rtc?: RtcRequest;
  /** Also return the intermediates that the golden fixtures hold. */
  readonly trace?: boolean;
}

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface InferResult {
  /** [horizon, action dim] normalised. */
  readonly actions: Float32Array;
  /** Native time of the inference, ms. */
  readonly milliseconds: number;
  /** By fixture name (`siglip_0`, `prefix_k_0`, …); empty unless asked for. */
  readonly trace: ReadonlyMap<string, Tensor>;
}

/**
 * The native engine. Inference runs on native low-priority threads; buffers are borrowed until the promise settles.
 * One inference at a time a session: a second call while one runs rejects with INVALID_ARGUMENT.
 */
export interface Engine {
  readonly info: ModelInfo;
  infer(request: InferRequest): Promise<InferResult>;
  /** Frees the weights after the inference in flight; further calls reject. */
  close(): Promise<void>;
}

interface Tower {
  readonly width: number;
  readonly layers: number;
}

interface Stored {
  readonly tensors: number;
  readonly bytes: number;
}

/** What the headers of a checkpoint's weights and its JSON files say. */
export interface CheckpointDescription {
  /** As far as it could be known; `backend` says nothing, since there is no engine. */
  readonly info: ModelInfo;
  readonly patch: number;
  readonly vision: Tower;
  readonly prefix: Tower;
  readonly expert: Tower;
  /** What the files hold, by type. */
  readonly dtypes: Readonly<Record<'F32' | 'BF16' | 'F16' | 'other', Stored>>;
  readonly usedParameters: number;
  /** What every inference reads of the weights as they are stored. */
  readonly readBytes: number;
  /** Everything that is wrong, where a message may have details a line each. */
  readonly faults: readonly { readonly code: string; readonly message: string }[];
}
