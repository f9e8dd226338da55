import type { CameraFrame, DecodedImage, UnconvertedImage } from '../frame/frame.js';
import { Refusal } from '../errors.js';
import { addon, nativeError } from './addon.js';

/**
 * Completes a decoded image with its fingerprint, and converts it to rgb8 where the engine does not take its encoding. Both are
 * computed off this thread. The pixels must not change meanwhile. A refusal is returned as it is.
 */
export async function withFingerprint(
  image: DecodedImage | UnconvertedImage | Refusal,
): Promise<CameraFrame | Refusal> {
  if (image instanceof Refusal) return image;
  try {
    const pixels = needsConversion(image) ? rgb8(image, await addon().convertToRgb8(image)) : image;
    return { ...pixels, fingerprint: await addon().fingerprint(pixels) };
  } catch (error) {
    throw nativeError(error);
  }
}

/** The same on this thread. */
export function withFingerprintSync(image: DecodedImage | UnconvertedImage | Refusal): CameraFrame | Refusal {
  if (image instanceof Refusal) return image;
  try {
    const pixels = needsConversion(image) ? rgb8(image, addon().convertToRgb8Sync(image)) : image;
    return { ...pixels, fingerprint: addon().fingerprintSync(pixels) };
  } catch (error) {
    throw nativeError(error);
  }
}

function needsConversion(image: DecodedImage | UnconvertedImage): image is UnconvertedImage {
  return 'bigEndian' in image;
}

function rgb8({ stamp, width, height }: UnconvertedImage, data: Uint8Array): DecodedImage {
  return { stamp, width, height, step: 3 * width, encoding: 'rgb8', data };
}
