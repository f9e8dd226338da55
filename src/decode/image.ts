import { checkImageFile, type ImageFile } from '../engine/image-file.js';
import { errorMessage, Refusal } from '../errors.js';
import { excerpt } from '../format.js';
import { BYTES_PER_PIXEL, CONVERTED_ENCODINGS } from '../frame/frame.js';
import type {
  CompressedImage,
  ConvertedEncoding,
  DecodedImage,
  EncodingLayout,
  PixelEncoding,
  RawImage,
  UnconvertedImage,
} from '../frame/frame.js';

/** Limits of an image's width and height, all inclusive. */
export interface SizeLimits {
  /** Pixels. */
  readonly minSize: number;
  readonly maxSize: number;
  /** Longer side over shorter side. */
  readonly maxAspectRatio: number;
}

const ENCODINGS = Object.keys(BYTES_PER_PIXEL) as PixelEncoding[];
const CONVERTED = Object.keys(CONVERTED_ENCODINGS) as ConvertedEncoding[];
const LAYOUTS = Object.fromEntries(
  ENCODINGS.map((encoding) => [encoding, { rowBytes: BYTES_PER_PIXEL[encoding], rows: 1, sides: 'any' }]),
) as unknown as Readonly<Record<PixelEncoding, EncodingLayout>>;
/** Interpolation needs neighbours. */
const MIN_BAYER_SIDE = 3;
/** The start marker. Stray bytes may follow it. */
const JPEG_MAGIC = [0xff, 0xd8];
const PNG_MAGIC = [0x89, 0x50, 0x4e, 0x47];

/**
 * Checks a raw image without reading its pixels. The result shares the image's pixels.
 * @param topic where the image comes from, for the refusal.
 * @returns an image for the engine, or one to convert; Refusal IMAGE_ENCODING, IMAGE_SIZE or IMAGE_DATA where a check fails.
 */
export function decodeRawFrame(
  image: RawImage,
  topic: string,
  limits: SizeLimits,
): DecodedImage | UnconvertedImage | Refusal {
  const { stamp, width, height, step, data, bigEndian = false } = image;
  const encoding = ENCODINGS.find((known) => known === image.encoding);
  const converted = CONVERTED.find((known) => known === image.encoding);
  if (encoding === undefined && converted === undefined) return unknownEncoding(image.encoding, topic);
  const badSize = checkSize(width, height, topic, limits);
  if (badSize !== undefined) return badSize;
  const layout = encoding === undefined ? CONVERTED_ENCODINGS[converted!] : LAYOUTS[encoding];
  const badData = checkLayout(image, layout, topic);
  if (badData !== undefined) return badData;
  return encoding === undefined
    ? { stamp, width, height, step, encoding: converted!, bigEndian, data }
    : { stamp, width, height, step, encoding, data };
}

/** The refusal of an encoding, with the reason where it has a name in sensor_msgs. */
function unknownEncoding(encoding: string, topic: string): Refusal {
  let reason = '';
  if (/^(16[US]|32[SF]|64F)C\d?$|^mono16$/.test(encoding))
    reason = ': depth and other measurements are no colour image';
  if (/^bayer_....16$/.test(encoding)) reason = ': Bayer images need 8 bits per pixel';
  const known = [...ENCODINGS, ...CONVERTED].join(', ');
  const received = excerpt(encoding) || 'no encoding';
  return new Refusal('IMAGE_ENCODING', `Expected ${known}, received ${received} from ${topic}${reason}`, topic);
}

/** Checks step, bytes and even sides. */
function checkLayout(
  { width, height, step, encoding, data }: RawImage,
  layout: EncodingLayout,
  topic: string,
): Refusal | undefined {
  const { sides } = layout;
  if ((sides !== 'any' && width % 2 !== 0) || (sides === 'even' && height % 2 !== 0)) {
    const expected = sides === 'even' ? 'an even width and height' : 'an even width';
    return new Refusal(
      'IMAGE_SIZE',
      `Expected ${expected} for ${encoding}, received ${width}x${height} from ${topic}`,
      topic,
    );
  }
  if (encoding.startsWith('bayer') && Math.min(width, height) < MIN_BAYER_SIDE) {
    const expected = `${MIN_BAYER_SIDE} pixels a side or more for ${encoding}`;
    return new Refusal('IMAGE_SIZE', `Expected ${expected}, received ${width}x${height} from ${topic}`, topic);
  }
  const rowBytes = width * layout.rowBytes;
  const rows = height * layout.rows;
  let problem: string | undefined;
  if (step < rowBytes) {
    problem = `Expected a step of at least ${rowBytes} bytes for ${width} ${encoding} pixels, received ${step}`;
  } else if (encoding === 'mono8' && step === 3 * width && width > 1) {
    problem = `Expected a step of about ${width} bytes for ${width} mono8 pixels, received ${step}, that of three channels,`;
  } else if (data.byteLength !== step * rows) {
    problem = `Expected ${step * rows} bytes for ${rows} rows of ${step}, received ${data.byteLength}`;
  }
  return problem === undefined ? undefined : new Refusal('IMAGE_DATA', `${problem} from ${topic}`, topic);
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
