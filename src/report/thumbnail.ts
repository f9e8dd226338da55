import { BYTES_PER_PIXEL } from '../frame/frame.js';
import type { CompressedImage, PixelEncoding, RawImage } from '../frame/frame.js';

/** Pixels of the longer side. */
const SIZE = 192;
const QUALITY = 60;
const MAX_PIXELS = 8192 ** 2;
/** Where red, green and blue are. */
const CHANNELS: Readonly<Record<PixelEncoding, readonly [number, number, number]>> = {
  rgb8: [0, 1, 2],
  bgr8: [2, 1, 0],
  rgba8: [0, 1, 2],
  bgra8: [2, 1, 0],
  mono8: [0, 0, 0],
};

interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * A small JPEG as a data URI; undefined where the image cannot be shown. The image may be reused as soon as this returns
 * its promise.
 */
export function thumbnail(image: RawImage | CompressedImage): Promise<string | undefined> {
  const input = 'encoding' in image ? coarse(image) : Uint8Array.from(image.data);
  return encode(input).catch(() => undefined);
}

async function encode(input: Pixels | Uint8Array | undefined): Promise<string | undefined> {
  if (input === undefined) return undefined;
  const { default: sharp } = await import('sharp');
  const picture =
    input instanceof Uint8Array
      ? sharp(input, { failOn: 'none', limitInputPixels: MAX_PIXELS })
      : sharp(input.data, { raw: { width: input.width, height: input.height, channels: 3 } });
  const jpeg = await picture
    .flatten()
    .resize({ width: SIZE, height: SIZE, fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .jpeg({ quality: QUALITY })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

/** Every n-th pixel as rgb8, about twice as large as a thumbnail; undefined where the message does not hold its pixels. */
function coarse({ width, height, step, encoding, data }: RawImage): Pixels | undefined {
  const known = Object.keys(CHANNELS).find((name): name is PixelEncoding => name === encoding);
  if (known === undefined || width < 1 || height < 1) return undefined;
  const bytes = BYTES_PER_PIXEL[known];
  if (step < width * bytes || data.byteLength < step * height) return undefined;
  const stride = Math.max(1, Math.floor(Math.max(width, height) / (2 * SIZE)));
  const small = { width: Math.ceil(width / stride), height: Math.ceil(height / stride) };
  const rgb = new Uint8Array(3 * small.width * small.height);
  const [r, g, b] = CHANNELS[known];
  let to = 0;
  for (let y = 0; y < height; y += stride) {
    for (let x = 0; x < width; x += stride) {
      const from = y * step + x * bytes;
      rgb[to++] = data[from + r]!;
      rgb[to++] = data[from + g]!;
      rgb[to++] = data[from + b]!;
    }
  }
  return { ...small, data: rgb };
}
