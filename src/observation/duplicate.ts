import type { CameraFrame } from '../frame/frame.js';

/**
 * Whether two images have the same size and the same colour in each pixel. Images of one colour, such as dark ones, are no
 * duplicates. Compares the fingerprints, which are made off this thread: a control tick must not wait for a comparison of
 * pixels.
 */
export function isDuplicate(
  { fingerprint: a }: Pick<CameraFrame, 'fingerprint'>,
  { fingerprint: b }: Pick<CameraFrame, 'fingerprint'>,
): boolean {
  return !a.uniform && a.hash === b.hash;
}
