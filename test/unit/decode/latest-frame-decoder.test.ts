import { beforeEach, expect, test } from '@jest/globals';
import { LatestFrameDecoder } from '../../../src/decode/latest-frame-decoder.js';
import { Refusal } from '../../../src/errors.js';
import type { CameraFrame, CompressedImage } from '../../../src/frame/frame.js';
import { flushPromises } from '../pipeline/harness.js';

/** A decode in flight, which the test completes. */
interface Decode {
  readonly stamp: bigint;
  readonly complete: (result: CameraFrame | Refusal) => void;
}

let decodes: Decode[];
let delivered: (CameraFrame | Refusal)[];
let generation: number;
let dropped: number;
let decoder: LatestFrameDecoder;

function createDecoder(keepAll: boolean): LatestFrameDecoder {
  return new LatestFrameDecoder({
    decode: ({ stamp }) => new Promise((complete) => decodes.push({ stamp, complete })),
    keepAll,
    generation: () => generation,
    onDrop: () => dropped++,
    deliver: (result) => delivered.push(result),
  });
}

beforeEach(() => {
  [decodes, delivered, generation, dropped] = [[], [], 0, 0];
  decoder = createDecoder(false);
});

function offer(stamp: bigint): void {
  const image: CompressedImage = { stamp, format: 'jpeg', data: new Uint8Array(0) };
  decoder.offer(image);
}

function frame(stamp: bigint): CameraFrame {
  const fingerprint = { hash: stamp, uniform: false };
  return { stamp, width: 1, height: 1, step: 1, encoding: 'mono8', data: new Uint8Array(1), fingerprint };
}

/** Completes the decode in flight. */
async function complete(result?: Refusal): Promise<void> {
  const { stamp, complete } = decodes.shift()!;
  complete(result ?? frame(stamp));
  await flushPromises();
}

const REFUSAL = new Refusal('IMAGE_DECODE', 'Expected JPEG or PNG data, received nothing from camera', 'camera');

test('a_frame_is_delivered_when_its_decode_is_done', async () => {
  offer(1n);
  expect(delivered).toEqual([]);
  await complete();
  expect(delivered).toEqual([frame(1n)]);
});

test('one_decode_is_in_flight_and_only_the_newest_other_image_waits', async () => {
  for (let stamp = 1n; stamp <= 10n; stamp++) offer(stamp);
  expect(decodes.map(({ stamp }) => stamp)).toEqual([1n]);
  await complete();
  expect(decodes.map(({ stamp }) => stamp)).toEqual([10n]);
  await complete();
  expect(decodes).toEqual([]);
  expect(delivered).toEqual([frame(1n), frame(10n)]);
  expect(dropped).toBe(8);
});

test('after_the_last_decode_the_next_image_is_decoded_at_once', async () => {
  offer(1n);
  await complete();
  offer(2n);
  await complete();
  expect(delivered).toEqual([frame(1n), frame(2n)]);
});

test('a_refusal_is_delivered_and_the_next_image_is_decoded', async () => {
  offer(1n);
  offer(2n);
  await complete(REFUSAL);
  await complete();
  expect(delivered).toEqual([REFUSAL, frame(2n)]);
});

test('images_of_an_earlier_generation_are_dropped_whether_in_flight_or_waiting', async () => {
  offer(1n);
  offer(2n);
  generation++;
  await complete();
  expect(decodes).toEqual([]);
  expect(delivered).toEqual([]);
});

test('a_refusal_of_an_earlier_generation_is_dropped_and_an_image_of_the_new_one_is_decoded', async () => {
  offer(1n);
  generation++;
  offer(2n);
  await complete(REFUSAL);
  await complete();
  expect(delivered).toEqual([frame(2n)]);
});

test('in_lockstep_every_image_is_decoded_in_its_order', async () => {
  decoder = createDecoder(true);
  for (let stamp = 1n; stamp <= 4n; stamp++) offer(stamp);
  for (let stamp = 1n; stamp <= 4n; stamp++) {
    expect(decodes.map((decode) => decode.stamp)).toEqual([stamp]);
    await complete();
  }
  expect(delivered).toEqual([1n, 2n, 3n, 4n].map(frame));
  expect(dropped).toBe(0);
});
