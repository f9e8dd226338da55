import { Pi05Error } from '../errors.js';
import { BYTES_PER_PIXEL, type Pixels } from '../frame/frame.js';
import type { InferRequest, ModelInfo, RtcRequest } from './engine.js';

/**
 * Refuses with INVALID_ARGUMENT what the native engine could only misread: lengths, sizes, what RTC needs.
 * Values that it can judge itself (token ids, the number of steps, delays) are left to it.
 */
export function checkRequest(request: InferRequest, info: ModelInfo): void {
  const { images, tokens, noise, steps, rtc } = request;
  if (images.length !== info.slots) {
    throw invalid(`Expected ${info.slots} image slots (undefined where there is no camera), received ${images.length}`);
  }
  images.forEach((image, slot) => {
    if (image !== undefined) checkPixels(image, `image ${slot}`);
  });
  if (tokens.length < 1 || tokens.length > info.maxTokens) {
    throw invalid(`Expected 1 to ${info.maxTokens} prompt tokens, received ${tokens.length}`);
  }
  const chunk = info.horizon * info.actionDim;
  if (noise.length !== chunk) {
    throw invalid(`Expected ${chunk} values for noise [${info.horizon}, ${info.actionDim}], received ${noise.length}`);
  }
  checkFinite(noise, 'noise');
  if (steps !== undefined && !isWhole(steps, 1)) throw invalid(`Expected at least 1 flow step, received ${steps}`);
  if (rtc !== undefined) checkRtc(rtc, info);
}

/** Refuses pixels whose rows are shorter than their width, or whose data is shorter than their rows. */
export function checkPixels(image: Pixels, name: string): void {
  const { width, height, step, encoding, data } = image;
  if (!isWhole(width, 1) || !isWhole(height, 1)) {
    throw invalid(`Expected a size of whole pixels for ${name}, received ${width}×${height}`);
  }
  if (!Object.hasOwn(BYTES_PER_PIXEL, encoding)) {
    const known = Object.keys(BYTES_PER_PIXEL).join(', ');
    throw invalid(`Expected an encoding of ${known} for ${name}, received ${encoding}`);
  }
  const row = width * BYTES_PER_PIXEL[encoding];
  if (!isWhole(step, row)) throw invalid(`Expected a step of at least ${row} bytes for ${name}, received ${step}`);
  if (data.length < step * height) {
    throw invalid(`Expected ${step * height} bytes for ${name} (${height} rows of ${step}), received ${data.length}`);
  }
}

function checkRtc(rtc: RtcRequest, info: ModelInfo): void {
  const { previous, previousRows, delay } = rtc;
  if (!isWhole(previousRows, 1) || previousRows > info.horizon) {
    throw invalid(`Expected 1 to ${info.horizon} rows of the previous chunk, received ${previousRows}`);
  }
  if (previous.length !== previousRows * info.actionDim) {
    const shape = `[${previousRows}, ${info.actionDim}]`;
    throw invalid(
      `Expected ${previousRows * info.actionDim} values for the previous chunk ${shape}, received ${previous.length}`,
    );
  }
  checkFinite(previous, 'the previous chunk');
  if (!isWhole(delay, 0)) throw invalid(`Expected a delay of whole steps, received ${delay}`);
  if (rtc.mode !== 'guided') return;
  if (rtc.schedule === undefined || rtc.executionHorizon === undefined || rtc.maxWeight === undefined) {
    throw invalid('Expected schedule, executionHorizon and maxWeight for guided real-time chunking, received less');
  }
  if (!isWhole(rtc.executionHorizon, 0)) {
    throw invalid(`Expected an execution horizon of whole steps, received ${rtc.executionHorizon}`);
  }
  if (!Number.isFinite(rtc.maxWeight) || rtc.maxWeight <= 0) {
    throw invalid(`Expected a positive largest guidance weight, received ${rtc.maxWeight}`);
  }
}

function checkFinite(values: Float32Array, name: string): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw invalid(`Expected finite values for ${name}, received ${values[at]} at index ${at}`);
}

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

function invalid(message: string): Pi05Error<'INVALID_ARGUMENT'> {
  return new Pi05Error('INVALID_ARGUMENT', message);
}
