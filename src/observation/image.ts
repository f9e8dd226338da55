import { Refusal } from '../errors.js';
import { BYTES_PER_PIXEL } from '../frame/frame.js';
import type { CameraFrame, CompressedImage, PixelEncoding, Pixels, RawImage } from '../frame/frame.js';
import { excerpt } from './words.js';

/** Pixels a side, both inclusive. */
export interface SizeLimits {
  readonly minSize: number;
  readonly maxSize: number;
}

const ENCODINGS = Object.keys(BYTES_PER_PIXEL) as PixelEncoding[];
const JPEG_MAGIC = [0xff, 0xd8, 0xff];
const PNG_MAGIC = [0x89, 0x50, 0x4e, 0x47];

/**
 * A raw image after every check; the pixels stay where they are.
 * @throws Refusal IMAGE_ENCODING, IMAGE_SIZE, IMAGE_DATA.
 */
export function checkImage(image: RawImage, topic: string, limits: SizeLimits): CameraFrame {
  const { stamp, width, height, step, data } = image;
  const encoding = ENCODINGS.find((known) => known === image.encoding);
  if (encoding === undefined) {
    throw new Refusal(
      'IMAGE_ENCODING',
      `Expected ${ENCODINGS.join(', ')}, received ${excerpt(image.encoding) || 'no encoding'} from ${topic}`,
      topic,
    );
  }
  checkSize(width, height, topic, limits);
  const row = width * BYTES_PER_PIXEL[encoding];
  if (step < row) {
    throw new Refusal(
      'IMAGE_DATA',
      `Expected a step of at least ${row} bytes for ${width} ${encoding} pixels, received ${step} from ${topic}`,
      topic,
    );
  }
  if (data.byteLength !== step * height) {
    throw new Refusal(
      'IMAGE_DATA',
      `Expected ${step * height} bytes for ${height} rows of ${step}, received ${data.byteLength} from ${topic}`,
      topic,
    );
  }
  return { stamp, width, height, step, encoding, data };
}

/**
 * Decodes JPEG or PNG, whichever the bytes are: the message's `format` is often wrong and only appears in refusals.
 * Anything libjpeg or libpng so much as warns about is refused, a truncated file first of all. Grey comes as mono8 or as
 * rgb8 of three equal channels, alpha as rgba8 (the engine ignores it as it does for raw images); embedded colour profiles
 * are ignored. 16 bits a channel, CMYK, and an EXIF orientation other than upright are refused rather than converted.
 * @throws Refusal IMAGE_DECODE, IMAGE_ENCODING, IMAGE_SIZE.
 */
export async function decodeCompressed(
  image: CompressedImage,
  topic: string,
  limits: SizeLimits,
): Promise<CameraFrame> {
  const { stamp, data } = image;
  const starts = (magic: readonly number[]): boolean => magic.every((byte, i) => data[i] === byte);
  if (!starts(JPEG_MAGIC) && !starts(PNG_MAGIC)) {
    const first = Buffer.from(data.subarray(0, 4)).toString('hex') || 'nothing';
    throw new Refusal(
      'IMAGE_DECODE',
      `Expected JPEG or PNG data, received ${first} (format '${excerpt(image.format)}') from ${topic}`,
      topic,
    );
  }
  try {
    const { default: sharp } = await import('sharp');
    const decoder = sharp(data, { failOn: 'warning', limitInputPixels: limits.maxSize ** 2, ignoreIcc: true });
    const { width, height, depth, space, orientation = 1 } = await decoder.metadata();
    checkSize(width, height, topic, limits);
    if (depth !== 'uchar') throw encoding(`8 bits a channel, received ${depth}`, topic);
    if (space === 'cmyk') throw encoding('grey, RGB or RGBA, received CMYK', topic);
    if (orientation !== 1) throw encoding(`upright pixels, received EXIF orientation ${orientation}`, topic);
    const { data: pixels, info } = await decoder.raw().toBuffer({ resolveWithObject: true });
    const layout = ({ 1: 'mono8', 3: 'rgb8', 4: 'rgba8' } as const)[info.channels as 1 | 3 | 4];
    if (layout === undefined) throw encoding(`1, 3 or 4 channels, received ${info.channels}`, topic);
    return { stamp, width, height, step: width * info.channels, encoding: layout, data: pixels };
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).trim().split(/\s*\n/);
    throw new Refusal(
      'IMAGE_DECODE',
      `Expected a whole JPEG or PNG file, received ${data.byteLength} bytes from ${topic} (${excerpt(reason)})`,
      topic,
    );
  }
}

/** Whether two images show the same colours pixel by pixel, and more than one colour. */
export function isDuplicate(a: Pixels, b: Pixels): boolean {
  if (a.width !== b.width || a.height !== b.height) return false;
  const sameBytes = a.encoding === b.encoding && a.step === b.step && Buffer.compare(a.data, b.data) === 0;
  if (sameBytes) return !isUniform(a);
  for (let y = 0; y < a.height; y++) {
    for (let x = 0; x < a.width; x++) if (colour(a, x, y) !== colour(b, x, y)) return false;
    // Two dark cameras are told by their first row.
    if (y === 0 && isUniform(a)) return false;
  }
  return true;
}

/** Row by row: pixel by pixel it would take as long as an image lasts. */
function isUniform(image: Pixels): boolean {
  const { width, height, step, encoding, data } = image;
  const row = (y: number): Uint8Array => data.subarray(y * step, y * step + width * BYTES_PER_PIXEL[encoding]);
  const first = colour(image, 0, 0);
  for (let y = 0; y < height; y++) {
    if (y > 0 && Buffer.compare(row(y), row(0)) === 0) continue;
    for (let x = 0; x < width; x++) if (colour(image, x, y) !== first) return false;
  }
  return true;
}

const CHANNELS: Readonly<Record<PixelEncoding, readonly [number, number, number]>> = {
  rgb8: [0, 1, 2],
  bgr8: [2, 1, 0],
  rgba8: [0, 1, 2],
  bgra8: [2, 1, 0],
  mono8: [0, 0, 0],
};

function colour(image: Pixels, x: number, y: number): number {
  const [r, g, b] = CHANNELS[image.encoding];
  const at = y * image.step + x * BYTES_PER_PIXEL[image.encoding];
  return (image.data[at + r]! << 16) | (image.data[at + g]! << 8) | image.data[at + b]!;
}

function checkSize(width: number, height: number, topic: string, { minSize, maxSize }: SizeLimits): void {
  if (Math.min(width, height) < minSize || Math.max(width, height) > maxSize) {
    throw new Refusal(
      'IMAGE_SIZE',
      `Expected ${minSize} to ${maxSize} pixels a side, received ${width}x${height} from ${topic}`,
      topic,
    );
  }
}

function encoding(expectedReceived: string, topic: string): Refusal {
  return new Refusal('IMAGE_ENCODING', `Expected ${expectedReceived} from ${topic}`, topic);
}
