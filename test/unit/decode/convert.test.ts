import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { decodeRawFrame } from '../../../src/decode/image.js';
import { withFingerprint, withFingerprintSync } from '../../../src/engine/fingerprint.js';
import type { CameraFrame } from '../../../src/frame/frame.js';
import { CONVERTED_ENCODINGS } from '../../../src/frame/frame.js';
import { packageRoot } from '../root.js';

interface Case {
  readonly encoding: string;
  readonly width: number;
  readonly height: number;
  readonly step: number;
  readonly bigEndian: boolean;
  /** Base64. */
  readonly data: string;
  /** What OpenCV makes of it, base64. */
  readonly rgb: string;
}

const CASES = JSON.parse(
  readFileSync(join(packageRoot, 'test', 'fixtures', 'encodings', 'golden.json'), 'utf8'),
) as Case[];
const LIMITS = { minSize: 1, maxSize: 4096, maxAspectRatio: 224 };

test('the golden images have every encoding that is converted', () => {
  expect(new Set(CASES.map(({ encoding }) => encoding))).toEqual(new Set(Object.keys(CONVERTED_ENCODINGS)));
});

test.each(CASES.map((golden) => [`${golden.encoding} ${golden.width}x${golden.height}`, golden] as const))(
  '%s gives the pixels of OpenCV',
  async (_, { data, rgb, ...image }) => {
    const raw = { stamp: 3n, ...image, data: new Uint8Array(Buffer.from(data, 'base64')) };
    const decoded = decodeRawFrame(raw, 'camera', LIMITS);
    const frame = (await withFingerprint(decoded)) as CameraFrame;
    const { width, height } = image;
    expect(frame).toMatchObject({ stamp: 3n, width, height, step: 3 * width, encoding: 'rgb8' });
    expect(Buffer.from(frame.data).toString('base64')).toBe(rgb);
    expect(withFingerprintSync(decoded)).toEqual(frame);
  },
);
