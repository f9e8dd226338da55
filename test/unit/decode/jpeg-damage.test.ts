import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { decodeCompressedFrame } from '../../../src/decode/image.js';
import { Refusal } from '../../../src/errors.js';
import type { DecodedImage } from '../../../src/frame/frame.js';
import { random } from '../pipeline/robot.js';
import { packageRoot } from '../root.js';

/** JPEG files that Pillow wrote, changed by write_jpegs.py. */
let directory: string;
let names: string[];
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-jpegs-'));
  const script = join(packageRoot, 'test', 'unit', 'decode', 'write_jpegs.py');
  execFileSync(join(packageRoot, '.pi05', 'venv', 'bin', 'python'), [script, directory]);
  names = readdirSync(directory);
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true }));

const LIMITS = { minSize: 4, maxSize: 4096, maxAspectRatio: 8 };

function decode(data: Uint8Array): Promise<DecodedImage | Refusal> {
  return decodeCompressedFrame({ stamp: 0n, format: 'jpeg', data }, 'camera', LIMITS);
}

async function refusal(data: Uint8Array): Promise<string> {
  const result = await decode(data);
  return result instanceof Refusal ? result.message : 'accepted';
}

function read(name: string): Buffer {
  return readFileSync(join(directory, name));
}

/** "accepted", "other pixels" or the code of the refusal. */
async function outcome(name: string): Promise<string> {
  const tidy = await sharp(read(`${name.split(/[+-]/)[0]!.replace('.jpg', '')}.jpg`))
    .raw()
    .toBuffer();
  const result = await decode(read(name));
  if (result instanceof Refusal) return result.code;
  return tidy.equals(result.data) ? 'accepted' : 'other pixels';
}

async function outcomes(wanted: (name: string) => boolean): Promise<Record<string, string>> {
  const found = names.filter(wanted);
  expect(found.length).toBeGreaterThan(30);
  return Object.fromEntries(await Promise.all(found.map(async (name) => [name, await outcome(name)] as const)));
}

const all = (results: Record<string, string>, expected: string): Record<string, string> =>
  Object.fromEntries(Object.keys(results).map((name) => [name, expected]));

test('stray_bytes_and_odd_header_fields_do_not_change_the_pixels', async () => {
  const results = await outcomes((name) => !name.includes('-'));
  expect(results).toEqual(all(results, 'accepted'));
});

test('a_file_that_lacks_image_data_or_its_end_is_refused', async () => {
  const results = await outcomes((name) => name.includes('-'));
  expect(results).toEqual(all(results, 'IMAGE_DECODE'));
});

test('each_of_several_images_that_are_decoded_at_once_has_its_own_reason', async () => {
  const files = names.filter((name) => name.includes('-')).map(read);
  const alone: string[] = [];
  for (const data of files) alone.push(await refusal(data));
  expect(new Set(alone).size).toBeGreaterThan(files.length / 2);
  for (let round = 0; round < 5; round++) expect(await Promise.all(files.map(refusal))).toEqual(alone);
});

test('bytes_changed_anywhere_end_with_pixels_or_a_refusal', async () => {
  const next = random(3);
  for (const name of ['restarts.jpg', 'odd_size.jpg', 'grey+no_tables.jpg']) {
    const tidy = read(name);
    for (let round = 0; round < 100; round++) {
      const damaged = Buffer.from(tidy);
      for (let changes = 1 + (round % 4); changes > 0; changes--) {
        damaged[2 + Math.floor(next() * (tidy.length - 2))] = Math.floor(next() * 256);
      }
      const result = await decode(damaged);
      if (result instanceof Refusal) expect(result.code).toMatch(/^IMAGE_(DECODE|SIZE|ENCODING)$/);
      else expect(result.data.byteLength).toBe(result.step * result.height);
    }
  }
});

test.each([
  ['baseline-cut_0.5.jpg', /^Expected a complete JPEG or PNG file, received \d+ bytes from camera: it/],
  ['baseline-cut_and_closed_0.8.jpg', /: its image data ends after \d\d % of the image$/],
  ['baseline-no_end.jpg', /: it ends after \d+ bytes, without an end marker$/],
  ['restarts-no_interval.jpg', /: restart marker 1 is missing at byte \d+, after \d\d % of the image$/],
  ['grey-100_bytes_before_end.jpg', /: 100 bytes before byte \d+ belong to no block: its image data is corrupt$/],
])('%s is refused with what it lacks', async (name, reason) => {
  expect(await refusal(read(name))).toMatch(reason);
});
