import { readdirSync } from 'node:fs';
import type { InferRequest, RtcRequest } from '../../../src/engine/engine.js';
import { readSafetensors, type SafetensorsTensor } from '../../../src/safetensors.js';
import { fixture } from '../root.js';

export const FAMILIES = ['tiny-openpi', 'tiny-lerobot'] as const;

/** Names of a family's cases. Files for real-time chunking only add results to another case. */
export function caseNames(family: string): string[] {
  return readdirSync(fixture('pi05', family))
    .filter((name) => /^case_.*\.safetensors$/.test(name) && !name.endsWith('_rtc.safetensors'))
    .map((name) => name.replace('.safetensors', ''));
}

export type Tensors = ReadonlyMap<string, SafetensorsTensor>;

export function readCaseTensors(family: string, name: string): Tensors {
  return readSafetensors(fixture('pi05', family, `${name}.safetensors`)).tensors;
}

export function floats(tensors: Tensors, name: string): Float32Array {
  const tensor = tensors.get(name);
  if (tensor?.dtype !== 'F32') throw new Error(`no float32 tensor ${name}`);
  return tensor.data;
}

export function ints(tensors: Tensors, name: string): Int32Array {
  const tensor = tensors.get(name);
  if (tensor?.dtype !== 'I32') throw new Error(`no int32 tensor ${name}`);
  return tensor.data;
}

/** The inference of a golden case. */
export function caseRequest(tensors: Tensors, rtc?: RtcRequest): InferRequest {
  const images = Array.from(ints(tensors, 'image_mask'), (use, slot) => {
    const image = tensors.get(`image_${slot}`);
    if (use === 0) return undefined;
    if (image?.dtype !== 'U8') throw new Error(`no image for slot ${slot}`);
    return { width: 224, height: 224, step: 224 * 3, encoding: 'rgb8' as const, data: image.data };
  });
  const request = { images, tokens: ints(tensors, 'tokens'), noise: floats(tensors, 'noise') };
  return rtc === undefined ? request : { ...request, rtc };
}

/** Largest absolute difference over the largest absolute expected value. */
export function relativeError(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length)
    throw new Error(`expected ${expected.length} values, received ${actual.length}`);
  let difference = 0;
  let largest = 0;
  for (const [i, value] of expected.entries()) {
    difference = Math.max(difference, Math.abs(value - (actual[i] ?? NaN)));
    largest = Math.max(largest, Math.abs(value));
  }
  return difference / largest;
}
