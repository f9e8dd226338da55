import { describe, expect, test } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import sharp from 'sharp';
import { resizeLerobot, resizePillow } from '../../../src/engine/native.js';
import type { Pixels } from '../../../src/frame/frame.js';
import { readSafetensors } from '../../../src/safetensors.js';
import { fixture } from '../root.js';

interface Index {
  readonly files: {
    readonly name: string;
    readonly width: number;
    readonly height: number;
    readonly formula_checks: { readonly sum: number };
  }[];
  readonly more_geometry: {
    readonly width: number;
    readonly height: number;
    readonly resized_width: number;
    readonly resized_height: number;
    readonly pad_left: number;
    readonly pad_top: number;
    readonly error?: string;
  }[];
}
const index = JSON.parse(readFileSync(fixture('pi05', 'resize', 'index.json'), 'utf8')) as Index;

function rgb(width: number, height: number, data: Uint8Array): Pixels {
  return { width, height, step: width * 3, encoding: 'rgb8', data };
}

async function decode(name: string): Promise<Pixels> {
  const { data, info } = await sharp(fixture('pi05', 'resize', name))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect(info.channels).toBe(3);
  return rgb(info.width, info.height, data);
}

/** The fixture's image, so that no PNG decoder is needed. */
function formula(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const p = (Math.floor(x / 16) + Math.floor(y / 32)) % 2;
      for (let c = 0; c < 3; c += 1) {
        data[(y * width + x) * 3 + c] = 7 * x + 13 * y + 29 * c + Math.floor((x * y) / 16) + 97 * (c + 1) * p;
      }
    }
  }
  return rgb(width, height, data);
}

function expected(file: string, name: string): ArrayLike<number> {
  return readSafetensors(fixture('pi05', 'resize', `${file}.safetensors`)).tensors.get(name)!.data as ArrayLike<number>;
}

/** How many values differ; a difference of a large array would otherwise take minutes to print. */
function differences(actual: ArrayLike<number>, wanted: ArrayLike<number>, tolerance = 0): number {
  expect(actual.length).toBe(wanted.length);
  let count = 0;
  for (let i = 0; i < wanted.length; i += 1) if (!(Math.abs(actual[i]! - wanted[i]!) <= tolerance)) count += 1;
  return count;
}

describe("openpi's resize", () => {
  test('has_a_golden_image_for_every_png', () => {
    const pngs = readdirSync(fixture('pi05', 'resize')).filter((name) => name.endsWith('.png'));
    expect(pngs.sort()).toEqual(index.files.map(({ name }) => `${name}.png`).sort());
  });

  test.each(index.files)('matches_Pillow_bit_for_bit_on_the_image_$name', async ({ name }) => {
    const image = await decode(`${name}.png`);
    expect(differences(resizePillow(image, 224), expected(name, 'expected'))).toBe(0);
  });

  test.each(index.files)(
    'matches_Pillow_bit_for_bit_on_the_formula_$name',
    ({ name, width, height, formula_checks }) => {
      const image = formula(width, height);
      expect(image.data.reduce((sum, value) => sum + value, 0)).toBe(formula_checks.sum);
      expect(differences(resizePillow(image, 224), expected(name, 'expected_formula'))).toBe(0);
    },
  );

  test.each(index.more_geometry.filter(({ error }) => error === undefined))(
    'places_as_the_reference_does_$width×$height',
    ({ width, height, ...geometry }) => {
      const out = resizePillow(rgb(width, height, new Uint8Array(width * height * 3).fill(255)), 224);
      const isWhite = (pixel: number): boolean => out[pixel * 3] === 255;
      const columns = Array.from({ length: 224 }, (_, x) => isWhite(geometry.pad_top * 224 + x));
      const rows = Array.from({ length: 224 }, (_, y) => isWhite(y * 224 + geometry.pad_left));
      expect([columns.indexOf(true), columns.filter(Boolean).length]).toEqual([
        geometry.pad_left,
        geometry.resized_width,
      ]);
      expect([rows.indexOf(true), rows.filter(Boolean).length]).toEqual([geometry.pad_top, geometry.resized_height]);
    },
  );

  test.each(index.more_geometry.filter(({ error }) => error !== undefined))(
    'rejects_as_the_reference_does_$width×$height',
    ({ width, height }) => {
      const image = rgb(width, height, new Uint8Array(width * height * 3));
      expect(() => resizePillow(image, 224)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );

  test('reads_every_encoding_and_padded_rows_to_the_same_image', () => {
    const [width, height] = [64, 48];
    const plain = formula(width, height);
    const wanted = resizePillow(plain, 224);
    const orders = { rgb8: [0, 1, 2], bgr8: [2, 1, 0], rgba8: [0, 1, 2, 3], bgra8: [2, 1, 0, 3] } as const;
    for (const [encoding, order] of Object.entries(orders) as [keyof typeof orders, readonly number[]][]) {
      const step = width * order.length + 5;
      const data = new Uint8Array(step * height).fill(77);
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) {
          order.forEach(
            (c, i) => (data[y * step + x * order.length + i] = c === 3 ? 9 : plain.data[(y * width + x) * 3 + c]!),
          );
        }
      }
      expect(differences(resizePillow({ width, height, step, encoding, data }, 224), wanted)).toBe(0);
    }
  });

  test('spreads_mono8_over_three_channels', () => {
    const grey = Uint8Array.from({ length: 32 * 32 }, (_, i) => i % 251);
    const spread = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => grey[Math.floor(i / 3)]!);
    const mono = resizePillow({ width: 32, height: 32, step: 32, encoding: 'mono8', data: grey }, 224);
    expect(differences(mono, resizePillow(rgb(32, 32, spread), 224))).toBe(0);
  });
});

describe("LeRobot's resize", () => {
  test('matches_the_reference_to_1e-6', async () => {
    const image = await decode('640x480.png');
    expect(differences(resizeLerobot(image, 224), expected('640x480_lerobot', 'expected_unit_float'), 1e-6)).toBe(0);
  });
});
