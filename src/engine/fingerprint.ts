import type { CameraFrame, DecodedImage } from '../frame/frame.js';
import { Refusal } from '../errors.js';
import { addon, nativeError } from './addon.js';

/**
 * Completes a decoded image with its fingerprint, which is computed off this thread. The pixels must not change meanwhile.
 * A refusal is returned as it is.
 */
export async function withFingerprint(image: DecodedImage | Refusal): Promise<CameraFrame | Refusal> {
  if (image instanceof Refusal) return image;
  try {
    return { ...image, fingerprint: await addon().fingerprint(image) };
  } catch (error) {
    throw nativeError(error);
  }
}

/** The same on this thread. */
export function withFingerprintSync(image: DecodedImage | Refusal): CameraFrame | Refusal {
  if (image instanceof Refusal) return image;
  try {
    return { ...image, fingerprint: addon().fingerprintSync(image) };
  } catch (error) {
    throw nativeError(error);
  }
}
