import { BYTES_PER_PIXEL, type PixelEncoding, type Pixels } from '../../frame/frame.js';

/** The encoding of an image after the bytes of each pixel were reversed. */
const REVERSED: Readonly<Partial<Record<PixelEncoding, PixelEncoding>>> = {
  rgb8: 'bgr8',
  bgr8: 'rgb8',
  mono8: 'mono8',
};

/** The image rotated by `degrees` (numpy: `image[::-1, ::-1]`). For 180 a copy without padding between rows. */
export function rotated(image: Pixels, degrees: 0 | 180): Pixels {
  if (degrees === 0) return image;
  const { width, height, step, encoding } = image;
  const row = width * BYTES_PER_PIXEL[encoding];
  const data = new Uint8Array(row * height);
  for (let y = 0; y < height; y += 1) data.set(image.data.subarray(y * step, y * step + row), y * row);
  const reversed = REVERSED[encoding];
  // Reversing all bytes rotates the image and swaps its channels, which the new encoding states. Four-byte pixels are
  // reversed as 32-bit values.
  if (reversed === undefined) new Uint32Array(data.buffer).reverse();
  else data.reverse();
  return { width, height, step: row, encoding: reversed ?? encoding, data };
}
