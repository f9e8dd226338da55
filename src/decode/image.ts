import { checkImageFile, type ImageFile } from '../engine/image-file.js';
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
/** The start marker. Stray bytes may follow it. */
const JPEG_MAGIC = [0xff, 0xd8];
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

/** The first bytes of a file that `checkImageFile` reads. */
const MIN_FILE_BYTES = 8;

/**
 * Decodes a JPEG or PNG image on libuv's thread pool. The format is read from the data: the message's `format` field is
 * often wrong and appears in refusals only. A JPEG with errors that leave all of its image data in place, such as stray bytes, is
 * decoded; one that is cut off or corrupt is refused. Grey images become mono8 or rgb8 with three equal channels; images with
 * alpha become rgba8 (the engine ignores alpha). Embedded colour profiles are ignored. 16-bit channels, CMYK and an EXIF
 * orientation other than upright are refused, not converted.
 * @param topic where the image comes from, for the refusal.
 * @returns Refusal IMAGE_DECODE, IMAGE_ENCODING or IMAGE_SIZE where the image cannot be used; never rejects.
 */
export async function decodeCompressedFrame(
  image: CompressedImage,
  topic: string,
  limits: SizeLimits,
): Promise<DecodedImage | Refusal> {
  const { data } = image;
  const startsWith = (magic: readonly number[]): boolean => magic.every((byte, i) => data[i] === byte);
  const isJpeg = startsWith(JPEG_MAGIC);
  if (!isJpeg && !startsWith(PNG_MAGIC)) {
    const firstBytes = Buffer.from(data.subarray(0, 4)).toString('hex') || 'nothing';
    return new Refusal(
      'IMAGE_DECODE',
      `Expected JPEG or PNG data, received ${firstBytes} (format '${excerpt(image.format)}') from ${topic}`,
      topic,
    );
  }
  if (data.byteLength < MIN_FILE_BYTES) return incomplete(data, topic, 'it ends in its headers');
  // libvips warns of stray bytes and missing blocks alike, not at all of blocks that are missing at the very end, and keeps its
  // messages in one buffer for all threads: they may be about another image. So completeness is checked separately.
  if (isJpeg) {
    const damaged = await checkFile(image, topic, limits);
    if (damaged !== undefined) return damaged;
  }
  try {
    return await decodeFile(image, topic, limits, isJpeg ? 'none' : 'warning');
  } catch {
    const damaged = isJpeg ? undefined : await checkFile(image, topic, limits);
    return damaged ?? incomplete(data, topic, isJpeg ? 'the decoder rejects its headers' : 'its pixels are corrupt');
  }
}

/** The refusal of a file that is not complete or has a wrong size. */
async function checkFile({ data }: CompressedImage, topic: string, limits: SizeLimits): Promise<Refusal | undefined> {
  const { width, height, damage } = await checkImageFile(data).catch(uncheckedFile);
  const badSize = width > 0 && height > 0 ? checkSize(width, height, topic, limits) : undefined;
  return badSize ?? (damage === '' ? undefined : incomplete(data, topic, damage));
}

/** @param failOn which messages of libjpeg and libpng are errors. @throws Error of sharp. */
async function decodeFile(
  { stamp, data }: CompressedImage,
  topic: string,
  limits: SizeLimits,
  failOn: 'warning' | 'none',
): Promise<DecodedImage | Refusal> {
  const { default: sharp } = await import('sharp');
  const decoder = sharp(data, { failOn, limitInputPixels: limits.maxSize ** 2, ignoreIcc: true });
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
}

/** For a file that could not be checked, for lack of memory. */
function uncheckedFile(error: unknown): ImageFile {
  return { width: 0, height: 0, damage: errorMessage(error) };
}

function incomplete(data: Uint8Array, topic: string, reason: string): Refusal {
  const sentence = `Expected a complete JPEG or PNG file, received ${data.byteLength} bytes from ${topic}: ${reason}`;
  return new Refusal('IMAGE_DECODE', sentence, topic);
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
