import type { Pixels } from '../frame/frame.js';

/** The properties of a loaded checkpoint: from `pi05_model.json`, or Pi0.5's standard dimensions without that file. */
export interface ModelInfo {
  readonly family: 'openpi' | 'lerobot';
  /** How the family was recognised, one clause. */
  readonly familyReason: string;
  readonly resize: 'pillow' | 'lerobot' | 'lerobot_before_0.5';
  readonly backend: 'cpu' | 'cuda';
  /** Why `auto` did not choose the GPU, one sentence; otherwise empty. */
  readonly backendReason: string;
  readonly stateInPrompt: boolean;
  /** Numbers that the normalised state is padded to with zeros before it is discretised; 0 = it is not padded. */
  readonly paddedState: number;
  /** Number of image slots. */
  readonly slots: number;
  /**
   * Side of the square that images are resized to, in pixels. The longer side of an image is at most this many times the
   * shorter, since the shorter would be resized to 0 pixels otherwise.
   */
  readonly imageSize: number;
  readonly actionDim: number;
  /** 0 = no file states it; only in the description of a checkpoint. */
  readonly horizon: number;
  readonly flowSteps: number;
  readonly maxTokens: number;
  readonly vocab: number;
  /** Longest delay that training-time RTC was trained with, steps; 0 = not trained for RTC. */
  readonly rtcTrainedMaxDelay: number;
  readonly parameters: number;
  readonly weightBytes: number;
}

/** Real-time chunking (RTC): makes the new chunk agree with the steps of the previous one that are still executed. */
export interface RtcRequest {
  readonly mode: 'guided' | 'trained';
  /** [previousRows, action dim] steps of the previous chunk that are not yet executed, normalised. previousRows ≤ horizon. */
  readonly previous: Float32Array;
  readonly previousRows: number;
  /** Inference delay d, steps. */
  readonly delay: number;
  /** Guided only. */
  readonly schedule?: 'linear' | 'exp' | 'ones' | 'zeros';
  /** Guided only: the step from which the guidance weights are 0. */
  readonly executionHorizon?: number;
  /** Guided only: largest guidance weight β. */
  readonly maxWeight?: number;
}

export interface InferRequest {
  /** One entry per model slot, in slot order; undefined = no camera, the slot is left out of the prefix. */
  readonly images: readonly (Pixels | undefined)[];
  /** Token ids of the prompt, without padding. */
  readonly tokens: Int32Array;
  /** [horizon, action dim] standard normal noise. */
  readonly noise: Float32Array;
  /** Number of flow steps; absent = the checkpoint's own number. */
  readonly steps?: number;
  readonly rtc?: RtcRequest;
  /** Whether to return intermediate tensors too, those of the golden fixtures. */
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
  /** Intermediate tensors by fixture name (`siglip_0`, `prefix_k_0` …); empty unless requested. */
  readonly trace: ReadonlyMap<string, Tensor>;
}

/**
 * A loaded model. Inference runs on native threads; the buffers of a request are borrowed until the promise settles.
 * One inference at a time: a second call while one runs rejects with INVALID_ARGUMENT.
 */
export interface Engine {
  readonly info: ModelInfo;
  /** @throws Pi05Error INVALID_ARGUMENT (a request that does not fit the model), ENGINE_FAILED, OUT_OF_MEMORY, DEVICE_LOST. */
  infer(request: InferRequest): Promise<InferResult>;
  /** Frees the weights once the running inference is done; further calls reject. */
  close(): Promise<void>;
}

interface TransformerSize {
  readonly width: number;
  readonly layers: number;
}

interface TensorTotals {
  readonly tensors: number;
  readonly bytes: number;
}

/** A checkpoint as described by the headers of its weight files and by its JSON files. */
export interface CheckpointDescription {
  /** As far as it could be determined; `backend` has no meaning, since no engine was opened. */
  readonly info: ModelInfo;
  readonly patch: number;
  readonly vision: TransformerSize;
  readonly prefix: TransformerSize;
  readonly expert: TransformerSize;
  /** Tensors in the files, by type. */
  readonly dtypes: Readonly<Record<'F32' | 'BF16' | 'F16' | 'other', TensorTotals>>;
  readonly usedParameters: number;
  /** Bytes of weights, as stored, that every inference reads. */
  readonly readBytes: number;
  /** All problems; a message may have further lines with details. */
  readonly problems: readonly { readonly code: string; readonly message: string }[];
}
