import { errorMessage, Refusal } from '../errors.js';
import { excerpt } from '../format.js';
import { BYTES_PER_PIXEL } from '../frame/frame.js';
import type { CompressedImage, DecodedImage, PixelEncoding, RawImage } from '../frame/frame.js';

/** Limits of an image's width and height, all inclusive. */
export interface SizeLimits {
  /** Pixels. */
  readonly minSize: number;
  readonly maxSize: number;
  /** Longer side over shorter side. */
  readonly maxAspectRatio: number;
}

const ENCODINGS = Object.keys(BYTES_PER_PIXEL) as PixelEncoding[];
const JPEG_MAGIC = [0xff, 0xd8, 0xff];
const PNG_MAGIC = [0x89, 0x50, 0x4e, 0x47];

/**
 * Checks a raw image without reading its pixels. The result shares the image's pixels.
 * @param topic where the image comes from, for the refusal.
 * @returns Refusal IMAGE_ENCODING, IMAGE_SIZE or IMAGE_DATA where a check fails.
 */
export function decodeRawFrame(image: RawImage, topic: string, limits: SizeLimits): DecodedImage | Refusal {
  const { stamp, width, height, step, data } = image;
  const encoding = ENCODINGS.find((known) => known === image.encoding);
  if (encoding === undefined) {
    return new Refusal(
      'IMAGE_ENCODING',
      `Expected ${ENCODINGS.join(', ')}, received ${excerpt(image.encoding) || 'no encoding'} from ${topic}`,
      topic,
    );
  }
  const badSize = checkSize(width, height, topic, limits);
  if (badSize !== undefined) return badSize;
  const rowBytes = width * BYTES_PER_PIXEL[encoding];
  if (step < rowBytes) {
    return new Refusal(
      'IMAGE_DATA',
      `Expected a step of at least ${rowBytes} bytes for ${width} ${encoding} pixels, received ${step} from ${topic}`,
      topic,
    );
  }
  if (data.byteLength !== step * height) {
    return new Refusal(
      'IMAGE_DATA',
      `Expected ${step * height} bytes for ${height} rows of ${step}, received ${data.byteLength} from ${topic}`,
      topic,
    );
  }
  return { stamp, width, height, step, encoding, data };
}

/**
 * Decodes a JPEG or PNG image on libuv's thread pool. The format is read from the data: the message's `format` field is
 * often wrong and appears in refusals only. Images for which libjpeg or libpng gives a warning, such as truncated files,
 * are refused. Grey images become mono8 or rgb8 with three equal channels; images with alpha become rgba8 (the engine
 * ignores alpha). Embedded colour profiles are ignored. 16-bit channels, CMYK and an EXIF orientation other than upright
 * are refused, not converted.
 * @param topic where the image comes from, for the refusal.
 * @returns Refusal IMAGE_DECODE, IMAGE_ENCODING or IMAGE_SIZE where the image cannot be used; never rejects.
 */
export async function decodeCompressedFrame(
  image: CompressedImage,
  topic: string,
  limits: SizeLimits,
): Promise<DecodedImage | Refusal> {
  const { stamp, data } = image;
  const startsWith = (magic: readonly number[]): boolean => magic.every((byte, i) => data[i] === byte);
  if (!startsWith(JPEG_MAGIC) && !startsWith(PNG_MAGIC)) {
    const firstBytes = Buffer.from(data.subarray(0, 4)).toString('hex') || 'nothing';
    return new Refusal(
      'IMAGE_DECODE',
      `Expected JPEG or PNG data, received ${firstBytes} (format '${excerpt(image.format)}') from ${topic}`,
      topic,
    );
  }
  try {
    const { default: sharp } = await import('sharp');
    const decoder = sharp(data, { failOn: 'warning', limitInputPixels: limits.maxSize ** 2, ignoreIcc: true });
    const { width, height, depth, space, orientation = 1 } = await decoder.metadata();
    const badSize = checkSize(width, height, topic, limits);
    if (badSize !== undefined) return badSize;
    if (depth !== 'uchar') return badEncoding('8 bits a channel', depth, topic);
    if (space === 'cmyk') return badEncoding('grey, RGB or RGBA', 'CMYK', topic);
    if (orientation !== 1) return badEncoding('upright pixels', `EXIF orientation ${orientation}`, topic);
    const { data: pixels, info } = await decoder.raw().toBuffer({ resolveWithObject: true });
    const encoding = ({ 1: 'mono8', 3: 'rgb8', 4: 'rgba8' } as const)[info.channels as 1 | 3 | 4];
    if (encoding === undefined) return badEncoding('1, 3 or 4 channels', String(info.channels), topic);
    return { stamp, width, height, step: width * info.channels, encoding, data: pixels };
  } catch (error) {
    const [reason = ''] = errorMessage(error).trim().split(/\s*\n/);
    return new Refusal(
      'IMAGE_DECODE',
      `Expected a complete JPEG or PNG file, received ${data.byteLength} bytes from ${topic} (${excerpt(reason)})`,
      topic,
    );
  }
}

function checkSize(width: number, height: number, topic: string, limits: SizeLimits): Refusal | undefined {
  const { minSize, maxSize, maxAspectRatio } = limits;
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  let expected: string;
  if (shorter < minSize || longer > maxSize) expected = `${minSize} to ${maxSize} pixels a side`;
  else if (longer > shorter * maxAspectRatio) expected = `an aspect ratio of at most ${maxAspectRatio}:1`;
  else return undefined;
  return new Refusal('IMAGE_SIZE', `Expected ${expected}, received ${width}x${height} from ${topic}`, topic);
}

function badEncoding(expected: string, received: string, topic: string): Refusal {
  return new Refusal('IMAGE_ENCODING', `Expected ${expected}, received ${received} from ${topic}`, topic);
}
