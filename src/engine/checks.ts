import { Pi05Error } from '../errors.js';
import type { InferRequest, ModelInfo, RtcRequest } from './engine.js';

/**
 * Checks the lengths of a request's arrays and the inputs of RTC, which the native engine cannot check itself. It checks the
 * rest: images, token ids, number of steps, delays.
 * @throws Pi05Error INVALID_ARGUMENT
 */
export function checkRequest(request: InferRequest, info: ModelInfo): void {
  const { images, tokens, noise, steps, rtc } = request;
  if (images.length !== info.slots) {
    throw invalid(`Expected ${info.slots} image slots (undefined where there is no camera), received ${images.length}`);
  }
  if (tokens.length < 1 || tokens.length > info.maxTokens) {
    throw invalid(`Expected 1 to ${info.maxTokens} prompt tokens, received ${tokens.length}`);
  }
  const chunk = info.horizon * info.actionDim;
  if (noise.length !== chunk) {
    throw invalid(`Expected ${chunk} values for noise [${info.horizon}, ${info.actionDim}], received ${noise.length}`);
  }
  checkFinite(noise, 'noise');
  if (steps !== undefined && !isInteger(steps, 1)) throw invalid(`Expected at least 1 flow step, received ${steps}`);
  if (rtc !== undefined) checkRtc(rtc, info);
}

function checkRtc(rtc: RtcRequest, info: ModelInfo): void {
  const { previous, previousRows, delay } = rtc;
  if (!isInteger(previousRows, 1) || previousRows > info.horizon) {
    throw invalid(`Expected 1 to ${info.horizon} rows of the previous chunk, received ${previousRows}`);
  }
  if (previous.length !== previousRows * info.actionDim) {
    const shape = `[${previousRows}, ${info.actionDim}]`;
    throw invalid(
      `Expected ${previousRows * info.actionDim} values for the previous chunk ${shape}, received ${previous.length}`,
    );
  }
  checkFinite(previous, 'the previous chunk');
  if (!isInteger(delay, 0)) throw invalid(`Expected a delay of whole steps, received ${delay}`);
  if (rtc.mode !== 'guided') return;
  if (rtc.schedule === undefined || rtc.executionHorizon === undefined || rtc.maxWeight === undefined) {
    throw invalid('Expected schedule, executionHorizon and maxWeight for guided real-time chunking, received fewer');
  }
  if (!isInteger(rtc.executionHorizon, 0)) {
    throw invalid(`Expected an execution horizon of whole steps, received ${rtc.executionHorizon}`);
  }
  if (!Number.isFinite(rtc.maxWeight) || rtc.maxWeight <= 0) {
    throw invalid(`Expected a positive largest guidance weight, received ${rtc.maxWeight}`);
  }
}

function checkFinite(values: Float32Array, name: string): void {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw invalid(`Expected finite values for ${name}, received ${values[bad]} at index ${bad}`);
}

function isInteger(value: number, min: number): boolean {
  return Number.isSafeInteger(value) && value >= min;
}

function invalid(message: string): Pi05Error<'INVALID_ARGUMENT'> {
  return new Pi05Error('INVALID_ARGUMENT', message);
}
