import { BYTES_PER_PIXEL, CHANNEL_OFFSETS } from '../frame/frame.js';
import type { Pixels } from '../frame/frame.js';

/** Whether two images have the same colour in each pixel. Images of one colour, such as dark ones, are no duplicates. */
export function isDuplicate(a: Pixels, b: Pixels): boolean {
  if (a.width !== b.width || a.height !== b.height) return false;
  const sameBytes = a.encoding === b.encoding && a.step === b.step && Buffer.compare(a.data, b.data) === 0;
  if (sameBytes) return !isUniform(a);
  for (let y = 0; y < a.height; y++) {
    for (let x = 0; x < a.width; x++) if (colourAt(a, x, y) !== colourAt(b, x, y)) return false;
    // For two dark images the comparison of pixels ends after the first row.
    if (y === 0 && isUniform(a)) return false;
  }
  return true;
}

/** Compares whole rows: pixel by pixel, a large image would take longer than the time between two images. */
function isUniform(image: Pixels): boolean {
  const { width, height, step, encoding, data } = image;
  const row = (y: number): Uint8Array => data.subarray(y * step, y * step + width * BYTES_PER_PIXEL[encoding]);
  const first = colourAt(image, 0, 0);
  for (let y = 0; y < height; y++) {
    if (y > 0 && Buffer.compare(row(y), row(0)) === 0) continue;
    for (let x = 0; x < width; x++) if (colourAt(image, x, y) !== first) return false;
  }
  return true;
}

/** The colour as 0xRRGGBB. */
function colourAt(image: Pixels, x: number, y: number): number {
  const [r, g, b] = CHANNEL_OFFSETS[image.encoding];
  const offset = y * image.step + x * BYTES_PER_PIXEL[image.encoding];
  return (image.data[offset + r]! << 16) | (image.data[offset + g]! << 8) | image.data[offset + b]!;
}
