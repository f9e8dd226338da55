import { BYTES_PER_PIXEL, CHANNEL_OFFSETS } from '../frame/frame.js';
import type { CompressedImage, PixelEncoding, RawImage } from '../frame/frame.js';

/** The longer side, pixels. */
const SIZE = 192;
const QUALITY = 60;
const MAX_PIXELS = 8192 ** 2;

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
  const format = Object.keys(CHANNEL_OFFSETS).find((name): name is PixelEncoding => name === encoding);
  if (format === undefined || width < 1 || height < 1) return undefined;
  const bytes = BYTES_PER_PIXEL[format];
  if (step < width * bytes || data.byteLength < step * height) return undefined;
  const stride = Math.max(1, Math.floor(Math.max(width, height) / (2 * SIZE)));
  const small = { width: Math.ceil(width / stride), height: Math.ceil(height / stride) };
  const rgb = new Uint8Array(3 * small.width * small.height);
  const [r, g, b] = CHANNEL_OFFSETS[format];
  let target = 0;
  for (let y = 0; y < height; y += stride) {
    for (let x = 0; x < width; x += stride) {
      const source = y * step + x * bytes;
      rgb[target++] = data[source + r]!;
      rgb[target++] = data[source + g]!;
      rgb[target++] = data[source + b]!;
    }
  }
  return { ...small, data: rgb };
}
