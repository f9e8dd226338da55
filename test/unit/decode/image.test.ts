import { beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { Refusal } from '../../../src/errors.js';
import type { DecodedImage, CompressedImage, PixelEncoding, RawImage } from '../../../src/frame/frame.js';
import { BYTES_PER_PIXEL } from '../../../src/frame/frame.js';
import { decodeCompressedFrame, decodeRawFrame } from '../../../src/decode/image.js';
import { image, random } from '../pipeline/robot.js';

const LIMITS = { minSize: 4, maxSize: 64, maxAspectRatio: 8 };
const ENCODINGS = Object.keys(BYTES_PER_PIXEL) as PixelEncoding[];

function accepted<T extends object>(result: T | Refusal): T {
  if (result instanceof Refusal) throw result;
  return result;
}

describe('raw images', () => {
  test.each(ENCODINGS)('%s passes and keeps its pixels in place', (encoding) => {
    const step = 4 * BYTES_PER_PIXEL[encoding] + 3;
    const raw = image(7n, 0, { encoding, step, data: new Uint8Array(step * 4) });
    const frame = accepted(decodeRawFrame(raw, 'camera', LIMITS));
    expect(frame).toEqual({ stamp: 7n, width: 4, height: 4, step, encoding, data: raw.data });
    expect(frame.data).toBe(raw.data);
  });

  test.each<[string, Partial<RawImage>, string, string]>([
    ['an unknown encoding', { encoding: 'yuv444' }, 'IMAGE_ENCODING', 'bgra16, received yuv444 from camera'],
    [
      'an encoding that is a property of every object',
      { encoding: 'constructor' },
      'IMAGE_ENCODING',
      'received constructor',
    ],
    ['no encoding', { encoding: '' }, 'IMAGE_ENCODING', 'received no encoding from camera'],
    ['depth', { encoding: '16UC1' }, 'IMAGE_ENCODING', 'received 16UC1 from camera: depth and other measurements'],
    ['floating point', { encoding: '32FC1' }, 'IMAGE_ENCODING', 'received 32FC1 from camera: depth and other'],
    ['bayer of 16 bits', { encoding: 'bayer_rggb16' }, 'IMAGE_ENCODING', 'Bayer images need 8 bits per pixel'],
    ['16 bits', { encoding: 'mono16' }, 'IMAGE_ENCODING', 'received mono16'],
    ['a width below the limit', { width: 3 }, 'IMAGE_SIZE', 'Expected 4 to 64 pixels a side, received 3x4 from camera'],
    ['no rows', { height: 0 }, 'IMAGE_SIZE', 'received 4x0'],
    ['a height above the limit', { height: 65 }, 'IMAGE_SIZE', 'received 4x65'],
    [
      'a longer side of more than the largest aspect ratio',
      { height: 33 },
      'IMAGE_SIZE',
      'Expected an aspect ratio of at most 8:1, received 4x33 from camera',
    ],
    [
      'rows that overlap',
      { step: 11 },
      'IMAGE_DATA',
      'Expected a step of at least 12 bytes for 4 rgb8 pixels, received 11',
    ],
    [
      'grey pixels in rows of three channels',
      { encoding: 'mono8' },
      'IMAGE_DATA',
      'Expected a step of about 4 bytes for 4 mono8 pixels, received 12, that of three channels, from camera',
    ],
    [
      'an odd width of 4:2:2',
      { encoding: 'uyvy', width: 5 },
      'IMAGE_SIZE',
      'Expected an even width for uyvy, received 5x4',
    ],
    [
      'an odd height of 4:2:0',
      { encoding: 'nv12', height: 5 },
      'IMAGE_SIZE',
      'Expected an even width and height for nv12, received 4x5',
    ],
    ['short rows of 4:2:2', { encoding: 'yuv422_yuy2', step: 7 }, 'IMAGE_DATA', 'Expected a step of at least 8 bytes'],
    ['short rows of 16 bits', { encoding: 'rgb16', step: 23 }, 'IMAGE_DATA', 'Expected a step of at least 24 bytes'],
    [
      'chroma that is missing',
      { encoding: 'nv21', step: 4, data: new Uint8Array(16) },
      'IMAGE_DATA',
      'Expected 24 bytes for 6 rows of 4, received 16',
    ],
    ['missing bytes', { data: new Uint8Array(47) }, 'IMAGE_DATA', 'Expected 48 bytes for 4 rows of 12, received 47'],
    ['too many bytes', { data: new Uint8Array(49) }, 'IMAGE_DATA', 'received 49'],
    ['no bytes', { data: new Uint8Array(0) }, 'IMAGE_DATA', 'received 0'],
    ['an impossibly large step', { step: 0xffffffff }, 'IMAGE_DATA', 'Expected 17179869180 bytes'],
  ])('%s is refused', (_, changes, code, sentence) => {
    const refusal = decodeRawFrame(image(0n, 0, changes), 'camera', LIMITS);
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal).toMatchObject({ code, source: 'camera' });
    expect((refusal as Refusal).message).toContain(sentence);
  });
});

/** 16x8 pixels of noise. */
function bytes(channels: number): Uint8Array {
  const next = random(channels);
  return Uint8Array.from({ length: 16 * 8 * channels }, () => Math.floor(next() * 256));
}

function noise(channels: 1 | 3 | 4): Sharp {
  return sharp(bytes(channels), { raw: { width: 16, height: 8, channels } });
}

function compressed(data: Uint8Array, format = 'jpeg'): CompressedImage {
  return { stamp: 5n, format, data };
}

async function decode(...args: Parameters<typeof decodeCompressedFrame>): Promise<DecodedImage> {
  return accepted(await decodeCompressedFrame(...args));
}

async function refused(data: Uint8Array, format?: string): Promise<Refusal> {
  const outcome = await decodeCompressedFrame(compressed(data, format), 'camera', LIMITS);
  if (!(outcome instanceof Refusal)) throw new Error('nothing was refused');
  expect(outcome.source).toBe('camera');
  return outcome;
}

describe('compressed images', () => {
  let jpeg: Buffer;
  let png: Buffer;
  beforeAll(async () => {
    [jpeg, png] = await Promise.all([noise(3).jpeg({ quality: 95 }).toBuffer(), noise(3).png().toBuffer()]);
  });

  test('a_png_gives_the_pixels_that_were_encoded', async () => {
    const frame = await decode(compressed(png), 'camera', LIMITS);
    expect(frame).toMatchObject({ stamp: 5n, width: 16, height: 8, step: 48, encoding: 'rgb8' });
    expect(Uint8Array.from(frame.data)).toEqual(bytes(3));
  });

  test('a_jpeg_gives_the_pixels_of_sharps_decoder', async () => {
    const frame = await decode(compressed(jpeg), 'camera', LIMITS);
    expect(frame).toMatchObject({ width: 16, height: 8, step: 48, encoding: 'rgb8' });
    expect(frame.data).toEqual(await sharp(jpeg).raw().toBuffer());
  });

  test('the_format_field_may_be_wrong', async () => {
    expect((await decode(compressed(png, 'rgb8; jpeg compressed bgr8'), 'camera', LIMITS)).width).toBe(16);
    expect((await decode(compressed(jpeg, 'png'), 'camera', LIMITS)).width).toBe(16);
  });

  /** Every fifth length, and all of the last ones. */
  const cuts = (end: number): number[] =>
    Array.from({ length: end }, (_, length) => length).filter((length) => length % 5 === 0 || length > end - 8);

  test('a_jpeg_cut_short_anywhere_is_refused', async () => {
    const refusals = await Promise.all(cuts(jpeg.length).map((length) => refused(jpeg.subarray(0, length))));
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['IMAGE_DECODE']));
  });

  test('a_png_cut_short_anywhere_in_its_pixels_is_refused', async () => {
    const pixelsEnd = png.lastIndexOf('IEND') - 8;
    const refusals = await Promise.all(cuts(pixelsEnd).map((length) => refused(png.subarray(0, length))));
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['IMAGE_DECODE']));
  });

  test('a_jpeg_whose_scan_ends_early_is_refused', async () => {
    const damaged = await noise(3).resize(64, 64).jpeg({ quality: 95 }).toBuffer();
    const scan = damaged.indexOf(Buffer.from([0xff, 0xda]));
    damaged.set([0xff, 0xd9], scan + 100);
    expect((await refused(damaged)).code).toBe('IMAGE_DECODE');
  });

  test.each(['webp', 'tiff', 'gif'] as const)('%s is refused although sharp can read it', async (format) => {
    const { code, message } = await refused(await noise(3).toFormat(format).toBuffer(), 'jpeg');
    expect(code).toBe('IMAGE_DECODE');
    expect(message).toMatch(/^Expected JPEG or PNG data, received [0-9a-f]{8} \(format 'jpeg'\) from camera$/);
  });

  test('empty_data_is_refused', async () => {
    expect((await refused(new Uint8Array(0))).message).toContain('received nothing');
  });

  test('grey_pixels_are_grey_in_every_channel', async () => {
    const grey = bytes(1);
    const frame = await decode(compressed(await noise(1).toColourspace('b-w').png().toBuffer()), 'camera', LIMITS);
    const channels = BYTES_PER_PIXEL[frame.encoding];
    for (let pixel = 0; pixel < 16 * 8; pixel++) {
      for (let c = 0; c < channels; c++) expect(frame.data[pixel * channels + c]).toBe(grey[pixel]);
    }
  });

  test('an_image_with_alpha_becomes_rgba8', async () => {
    const frame = await decode(compressed(await noise(4).png().toBuffer()), 'camera', LIMITS);
    expect(frame).toMatchObject({ encoding: 'rgba8', step: 64 });
    expect(Uint8Array.from(frame.data)).toEqual(bytes(4));
  });

  test('16_bits_a_channel_are_refused', async () => {
    const deep = sharp(new Uint16Array(16 * 8 * 3).fill(300), {
      raw: { width: 16, height: 8, channels: 3 },
    }).toColourspace('rgb16');
    const { code, message } = await refused(await deep.png().toBuffer());
    expect([code, message]).toEqual(['IMAGE_ENCODING', 'Expected 8 bits a channel, received ushort from camera']);
  });

  test('cmyk_is_refused', async () => {
    const { code, message } = await refused(await noise(3).toColourspace('cmyk').jpeg().toBuffer());
    expect([code, message]).toEqual(['IMAGE_ENCODING', 'Expected grey, RGB or RGBA, received CMYK from camera']);
  });

  test('an_exif_rotation_is_refused_and_upright_pixels_are_not', async () => {
    const rotated = await noise(3).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect((await refused(rotated)).message).toBe('Expected upright pixels, received EXIF orientation 6 from camera');
    const upright = await noise(3).withMetadata({ orientation: 1 }).jpeg().toBuffer();
    expect((await decode(compressed(upright), 'camera', LIMITS)).width).toBe(16);
  });

  test.each([
    [3, 8],
    [16, 65],
  ])('%dx%d is refused by its header', async (width, height) => {
    const data = await noise(3).resize(width, height, { fit: 'fill' }).png().toBuffer();
    expect(await refused(data)).toMatchObject({
      code: 'IMAGE_SIZE',
      message: `Expected 4 to 64 pixels a side, received ${width}x${height} from camera`,
    });
  });
});
