import type { InferRequest, ModelInfo, RtcRequest } from '../engine/engine.js';
import { Pi05Error } from '../errors.js';
import type { Pixels } from '../frame/frame.js';
import { readSafetensors, type SafetensorsArrays, type SafetensorsTensor } from '../safetensors.js';

/** The flags for real-time chunking; a case file's metadata has the same names. */
export const RTC_FLAGS = {
  rtc: { type: 'string' },
  'rtc-schedule': { type: 'string' },
  'rtc-delay': { type: 'string' },
  'rtc-horizon': { type: 'string' },
  'rtc-max-weight': { type: 'string' },
} as const;
type RtcFlags = { readonly [K in keyof typeof RTC_FLAGS]?: string | undefined };

/** The tensors of one case, and its RTC settings from the flags or the metadata. */
export interface Case {
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  readonly rtc: RtcFlags;
  /** The files, for errors. */
  readonly source: string;
}

/** Reads the files of one case. @throws Pi05Error INVALID_ARGUMENT for a tensor that is in two of them. */
export function readCase(paths: readonly string[], flags: RtcFlags): Case {
  const tensors = new Map<string, SafetensorsTensor>();
  const metadata: Record<string, string> = {};
  for (const path of paths) {
    const file = readSafetensors(path);
    for (const [name, tensor] of file.tensors) {
      if (tensors.has(name)) {
        throw new Pi05Error('INVALID_ARGUMENT', `Expected ${name} in one case file, received another in ${path}`, path);
      }
      tensors.set(name, tensor);
    }
    Object.assign(metadata, file.metadata);
  }
  const names = Object.keys(RTC_FLAGS) as (keyof RtcFlags)[];
  const rtc = Object.fromEntries(
    names.map((name) => [name, flags[name] ?? metadata[name] ?? metadata[name.replaceAll('-', '_')]]),
  ) as RtcFlags;
  return { tensors, rtc, source: paths.join(' and ') };
}

/**
 * The inference request of a case. Every input is required with its type and shape, so that a misspelt name is an error;
 * other tensors are ignored. @throws Pi05Error INVALID_ARGUMENT.
 */
export function buildRequest(inputs: Case, info: ModelInfo): InferRequest {
  const mask = tensorOf(inputs, 'image_mask', 'I32', [info.slots]);
  const tokens = tensorOf(inputs, 'tokens', 'I32', ['n']);
  const noise = tensorOf(inputs, 'noise', 'F32', [info.horizon, info.actionDim]);
  const images = Array.from(mask.data, (use, slot): Pixels | undefined => {
    if (use !== 0 && use !== 1) throw invalid(inputs, `Expected 0 or 1 in image_mask, received ${use}`);
    return use === 1 ? toPixels(tensorOf(inputs, `image_${slot}`, 'U8', ['height', 'width', 3])) : undefined;
  });
  const rtc = buildRtc(inputs, info);
  return { images, tokens: tokens.data, noise: noise.data, ...(rtc === undefined ? {} : { rtc }) };
}

function buildRtc(inputs: Case, info: ModelInfo): RtcRequest | undefined {
  const { rtc: mode, ...rest } = inputs.rtc;
  if (mode === undefined) {
    const unexpected = [...Object.entries(rest).flatMap(([name, value]) => (value === undefined ? [] : [name]))];
    if (inputs.tensors.has('prev_chunk')) unexpected.push('prev_chunk');
    if (unexpected.length > 0)
      throw invalid(inputs, `Expected rtc (guided or trained) together with ${unexpected.join(', ')}, received none`);
    return undefined;
  }
  if (mode !== 'guided' && mode !== 'trained')
    throw invalid(inputs, `Expected rtc guided or trained, received ${mode}`);
  const { shape, data } = tensorOf(inputs, 'prev_chunk', 'F32', ['rows', info.actionDim]);
  const common = { previous: data, previousRows: shape[0] ?? 0, delay: number(inputs, 'rtc-delay') };
  if (mode === 'trained') {
    const unexpected = (['rtc-schedule', 'rtc-horizon', 'rtc-max-weight'] as const).filter((name) => inputs.rtc[name]);
    if (unexpected.length > 0)
      throw invalid(inputs, `Expected ${unexpected.join(', ')} only with rtc guided, received trained`);
    return { mode, ...common };
  }
  const schedule = inputs.rtc['rtc-schedule'];
  if (schedule !== 'linear' && schedule !== 'exp' && schedule !== 'ones' && schedule !== 'zeros') {
    throw invalid(inputs, `Expected rtc-schedule linear, exp, ones or zeros, received ${schedule ?? 'none'}`);
  }
  return {
    mode,
    ...common,
    schedule,
    executionHorizon: number(inputs, 'rtc-horizon'),
    maxWeight: number(inputs, 'rtc-max-weight'),
  };
}

function number(inputs: Case, name: keyof RtcFlags): number {
  const text = inputs.rtc[name];
  const value = text === undefined || text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) throw invalid(inputs, `Expected a number for ${name}, received ${text ?? 'none'}`);
  return value;
}

/** The tensor of that name, type and shape. A name in `shape` means any size from 1. @throws Pi05Error INVALID_ARGUMENT. */
function tensorOf<D extends keyof SafetensorsArrays>(
  inputs: Case,
  name: string,
  dtype: D,
  shape: readonly (number | string)[],
): { readonly shape: readonly number[]; readonly data: SafetensorsArrays[D] } {
  const tensor = inputs.tensors.get(name);
  const expected = `${dtype} [${shape.join(', ')}]`;
  if (tensor === undefined) throw invalid(inputs, `Expected ${name} ${expected}, received none`);
  const fits =
    tensor.shape.length === shape.length &&
    shape.every((size, axis) => (typeof size === 'number' ? tensor.shape[axis] === size : tensor.shape[axis]! >= 1));
  if (tensor.dtype !== dtype || !fits) {
    throw invalid(inputs, `Expected ${name} ${expected}, received ${tensor.dtype} [${tensor.shape.join(', ')}]`);
  }
  return { shape: tensor.shape, data: tensor.data as SafetensorsArrays[D] };
}

function toPixels({ shape, data }: { readonly shape: readonly number[]; readonly data: Uint8Array }): Pixels {
  const [height = 0, width = 0] = shape;
  return { width, height, step: width * 3, encoding: 'rgb8', data };
}

function invalid(inputs: Case, sentence: string): Pi05Error<'INVALID_ARGUMENT'> {
  return new Pi05Error('INVALID_ARGUMENT', `${sentence} from ${inputs.source}`, inputs.source);
}
