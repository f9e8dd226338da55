import { BYTES_PER_PIXEL } from '../frame/frame.js';
import type { CompressedImage, PixelEncoding, RawImage } from '../frame/frame.js';

/** The longer side, pixels. */
const SIZE = 192;
const QUALITY = 60;
const MAX_PIXELS = 8192 ** 2;
/** Byte offsets of red, green and blue in a pixel. */
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
 * A small JPEG as a data URI; undefined where the image cannot be decoded. The image is only read before this function
 * returns its promise.
 */
export function thumbnail(image: RawImage | CompressedImage): Promise<string | undefined> {
  const input = 'encoding' in image ? subsample(image) : Uint8Array.from(image.data);
  return encode(input).catch(() => undefined);
}

async function encode(input: Pixels | Uint8Array | undefined): Promise<string | undefined> {
  if (input === undefined) return undefined;
  const { default: sharp } = await import('sharp');
  const image =
    input instanceof Uint8Array
      ? sharp(input, { failOn: 'none', limitInputPixels: MAX_PIXELS })
      : sharp(input.data, { raw: { width: input.width, height: input.height, channels: 3 } });
  const jpeg = await image
    .flatten()
    .resize({ width: SIZE, height: SIZE, fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .jpeg({ quality: QUALITY })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

/** Every n-th pixel as rgb8, about twice the size of a thumbnail; undefined for a wrong encoding or too few bytes. */
function subsample({ width, height, step, encoding, data }: RawImage): Pixels | undefined {
  const format = Object.keys(CHANNELS).find((name): name is PixelEncoding => name === encoding);
  if (format === undefined || width < 1 || height < 1) return undefined;
  const bytes = BYTES_PER_PIXEL[format];
  if (step < width * bytes || data.byteLength < step * height) return undefined;
  const stride = Math.max(1, Math.floor(Math.max(width, height) / (2 * SIZE)));
  const small = { width: Math.ceil(width / stride), height: Math.ceil(height / stride) };
  const rgb = new Uint8Array(3 * small.width * small.height);
  const [r, g, b] = CHANNELS[format];
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
