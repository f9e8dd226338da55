import { BYTES_PER_PIXEL, type PixelEncoding, type Pixels } from '../../frame/frame.js';

/** What an image is called whose bytes of each pixel are reversed. */
const REVERSED: Readonly<Partial<Record<PixelEncoding, PixelEncoding>>> = {
  rgb8: 'bgr8',
  bgr8: 'rgb8',
  mono8: 'mono8',
};

/** The image turned by `degrees`, as new pixels without gaps between rows (numpy: `image[::-1, ::-1]`). */
export function turned(image: Pixels, degrees: 0 | 180): Pixels {
  if (degrees === 0) return image;
  const { width, height, step, encoding } = image;
  const row = width * BYTES_PER_PIXEL[encoding];
  const data = new Uint8Array(row * height);
  for (let y = 0; y < height; y += 1) data.set(image.data.subarray(y * step, y * step + row), y * row);
  const reversed = REVERSED[encoding];
  // Reversing bytes turns the image and swaps its channels, which costs nothing but a name. Pixels of four bytes are words.
  if (reversed === undefined) new Uint32Array(data.buffer).reverse();
  else data.reverse();
  return { width, height, step: row, encoding: reversed ?? encoding, data };
}
