import { afterAll, beforeAll, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { decodeCompressedFrame, decodeRawFrame } from '../../../src/decode/image.js';
import type { Engine } from '../../../src/engine/engine.js';
import { openEngine } from '../../../src/engine/native.js';
import { Refusal } from '../../../src/errors.js';
import { LiveFrames } from '../../../src/pipeline/live-frames.js';
import { Pipeline } from '../../../src/pipeline/pipeline.js';
import { fixture } from '../root.js';
import { flushPromises, Harness } from './harness.js';
import { exterior, joints, robot, T0 } from './robot.js';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ checkpoint: fixture('pi05', 'tiny-openpi'), backend: 'cpu', threads: 1 });
});
afterAll(() => engine.close());

const config = robot({ image: { minSize: 1, maxSize: 8192 } });

/** Whether the engine resizes and infers an image of that size. */
async function engineAccepts(width: number, height: number): Promise<boolean> {
  const { info } = engine;
  const image = { width, height, step: width, encoding: 'mono8', data: new Uint8Array(width * height) } as const;
  const images = Array.from({ length: info.slots }, (_, slot) => (slot === 0 ? image : undefined));
  const noise = new Float32Array(info.horizon * info.actionDim);
  return engine.infer({ images, tokens: Int32Array.of(2), noise, steps: 1 }).then(
    () => true,
    () => false,
  );
}

test('an_image_is_refused_by_its_size_exactly_where_the_engine_would_reject_it', async () => {
  const { policy, sink } = new Harness();
  const { imageLimits } = new Pipeline(config, policy, engine, sink);
  const { imageSize } = engine.info;
  const sizes = [1, 2, 3, 7, 32].flatMap((side) =>
    [side * imageSize - 1, side * imageSize, side * imageSize + 1].map((longer) => [longer, side]),
  );
  for (const [longer = 0, shorter = 0] of sizes) {
    if (longer > 8192) continue;
    for (const [width, height] of [
      [longer, shorter],
      [shorter, longer],
    ] as const) {
      const data = new Uint8Array(width * height);
      const result = decodeRawFrame(
        { stamp: T0, width, height, step: width, encoding: 'mono8', data },
        'camera',
        imageLimits,
      );
      const accepted = !(result instanceof Refusal);
      expect([width, height, accepted]).toEqual([width, height, await engineAccepts(width, height)]);
      if (!accepted) expect(result.code).toBe('IMAGE_SIZE');
    }
  }
});

test('a_raw_and_a_compressed_image_of_8192x32_are_refused_and_never_reach_the_engine', async () => {
  const harness = new Harness(robot({ image: { minSize: 32, maxSize: 8192 } }), () => T0);
  const frames = new LiveFrames(harness.pipeline, robot(), { now: () => T0, inOrder: false });
  const [width, height] = [8192, 32];
  const data = new Uint8Array(width * height);
  frames.offer('exterior', { stamp: T0, width, height, step: width, encoding: 'mono8', data });
  harness.pipeline.offerJoints(joints(T0), T0);
  await flushPromises();
  expect(harness.refusals.map(({ code, message }) => `${code}: ${message}`)).toEqual([
    `IMAGE_SIZE: Expected an aspect ratio of at most ${harness.engine.info.imageSize}:1, received 8192x32 from ${exterior.topic}`,
  ]);
  const jpeg = await sharp({ create: { width, height, channels: 3, background: 'red' } })
    .jpeg()
    .toBuffer();
  const compressed = { stamp: T0, format: 'jpeg', data: jpeg };
  const result = await decodeCompressedFrame(compressed, exterior.topic, harness.pipeline.imageLimits);
  expect(result).toMatchObject({ code: 'IMAGE_SIZE' });
  expect(harness.engine.requests).toEqual([]);
});
