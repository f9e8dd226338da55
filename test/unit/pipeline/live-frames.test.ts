import { beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import type { CompressedImage } from '../../../src/frame/frame.js';
import { LiveFrames } from '../../../src/pipeline/live-frames.js';
import { Harness, TICK, until, watchRejections } from './harness.js';
import { exterior, image, joints, MS, robot, T0, wrist } from './robot.js';

watchRejections();

const config = robot({ cameras: [exterior, { ...wrist, transport: 'compressed' }] });
let jpeg: Buffer;
beforeAll(async () => {
  jpeg = await sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 200, g: 0, b: 0 } } })
    .jpeg()
    .toBuffer();
});

function compressed(stamp: bigint, data: Uint8Array = jpeg): CompressedImage {
  return { stamp, format: 'jpeg', data };
}

class LiveHarness extends Harness {
  now = T0;
  readonly frames: LiveFrames;

  constructor(inOrder = false) {
    super(config, () => this.now);
    this.frames = new LiveFrames(this.pipeline, config, { now: () => this.now, inOrder });
  }
}

describe('compressed images', () => {
  test('a_decoded_image_completes_a_set_and_starts_an_inference', async () => {
    const harness = new LiveHarness();
    harness.frames.offer('exterior', image(T0, 1));
    harness.pipeline.offerJoints(joints(T0), T0);
    harness.frames.offer('wrist', compressed(T0));
    expect(harness.engine.busy).toBe(false);
    await until(() => harness.engine.busy);
    expect(harness.engine.requests[0]?.images[1]).toMatchObject({ width: 8, height: 8, stamp: T0 });
    await harness.engine.answer(0);
  });

  test('a_broken_one_is_refused_and_the_next_is_decoded', async () => {
    const harness = new LiveHarness();
    harness.frames.offer('exterior', image(T0, 1));
    harness.pipeline.offerJoints(joints(T0), T0);
    harness.frames.offer('wrist', compressed(T0, jpeg.subarray(0, 100)));
    harness.frames.offer('wrist', compressed(T0 + 1n));
    await until(() => harness.engine.busy);
    expect(harness.takeLog()).toEqual(['IMAGE_DECODE']);
    await harness.engine.answer(0);
  });

  test('a_camera_whose_first_image_is_still_being_decoded_is_not_missing', async () => {
    const harness = new LiveHarness();
    harness.frames.offer('wrist', compressed(T0));
    harness.now = T0 + 201n * MS;
    harness.tick(harness.now);
    const ofCameras = harness.refusals.filter(({ code }) => code.startsWith('CAMERA'));
    expect(ofCameras.map(({ code, source }) => [code, source])).toEqual([
      ['CAMERA_MISSING', exterior.topic],
      ['CAMERA_STALE', wrist.topic],
    ]);
    const before = harness.refusals.length;
    harness.frames.offer('wrist', compressed(harness.now, new Uint8Array(0)));
    await until(() => harness.refusals.length > before);
  });

  test.each<[string, (harness: LiveHarness) => void]>([
    [
      'an activation',
      (harness) => {
        harness.pipeline.deactivate(T0);
        harness.pipeline.activate(T0);
      },
    ],
    ['a clock that jumped back', (harness) => harness.pipeline.offerJoints(joints(T0 - TICK), T0 - TICK)],
  ])('what_was_offered_before_is_dropped: %s', async (_, restart) => {
    const harness = new LiveHarness();
    harness.frames.offer('wrist', compressed(T0, jpeg.subarray(0, 100)));
    harness.frames.offer('wrist', compressed(T0 + 1n, jpeg.subarray(0, 100)));
    restart(harness);
    harness.takeLog();
    harness.frames.offer('wrist', compressed(T0, new Uint8Array(0)));
    await until(() => harness.refusals.length > 0);
    expect(harness.refusals.map(({ message }) => message)).toEqual([expect.stringContaining('received nothing')]);
  });

  test('after_deactivation_decodes_in_progress_start_no_inference_and_their_refusals_are_reported', async () => {
    const harness = new LiveHarness();
    harness.frames.offer('exterior', image(T0, 1));
    harness.pipeline.offerJoints(joints(T0), T0);
    harness.frames.offer('wrist', compressed(T0));
    harness.frames.offer('wrist', compressed(T0 + 1n, jpeg.subarray(0, 100)));
    harness.pipeline.deactivate(T0);
    harness.takeLog();
    await until(() => harness.refusals.length > 0);
    expect([harness.takeLog(), harness.engine.busy]).toEqual([['IMAGE_DECODE'], false]);
    expect(harness.pipeline.statistics.refusals).toEqual({ IMAGE_DECODE: 1 });
  });

  test('none_is_decoded_while_the_pipeline_is_inactive', async () => {
    const harness = new LiveHarness();
    harness.pipeline.deactivate(T0);
    harness.takeLog();
    expect(harness.pipeline.announceFrame('wrist', T0)).toBe(false);
    harness.frames.offer('wrist', compressed(T0, new Uint8Array(0)));
    harness.pipeline.activate(T0);
    expect(harness.pipeline.announceFrame('wrist', T0)).toBe(true);
    harness.frames.offer('wrist', compressed(T0, jpeg.subarray(0, 100)));
    await until(() => harness.refusals.length > 0);
    expect(harness.refusals.map(({ message }) => message)).toEqual([expect.stringContaining('complete JPEG')]);
  });
});

describe('raw images', () => {
  test('in_real_time_they_arrive_after_their_pixels_were_read_on_another_thread', async () => {
    const harness = new LiveHarness();
    harness.frames.offer('exterior', image(T0, 1, { encoding: 'mono16' }));
    harness.frames.offer('exterior', image(T0 + 1n, 1));
    expect(harness.takeLog()).toEqual([]);
    await until(() => harness.refusals.length > 0);
    expect(harness.takeLog()).toEqual(['IMAGE_ENCODING']);
  });

  test('in_simulated_time_they_arrive_at_once', () => {
    const harness = new LiveHarness(true);
    harness.frames.offer('exterior', image(T0, 1, { encoding: 'mono16' }));
    expect(harness.takeLog()).toEqual(['IMAGE_ENCODING']);
  });
});

test('the_frames_of_each_camera_are_counted_while_the_pipeline_is_active', async () => {
  const harness = new LiveHarness();
  const { pipeline, frames, engine } = harness;
  harness.frames.offer('exterior', image(T0, 1));
  // One is decoded, two are dropped for the broken one.
  for (let i = 0n; i < 3n; i++) frames.offer('wrist', compressed(T0 + i));
  frames.offer('wrist', compressed(T0 + 3n, jpeg.subarray(0, 100)));
  pipeline.offerJoints(joints(T0), T0);
  await until(() => engine.busy && harness.refusals.length > 0);
  const counts = {
    exterior: { offered: 1, dropped: 0, accepted: 1, used: 1 },
    wrist: { offered: 4, dropped: 2, accepted: 1, used: 1 },
  };
  expect(pipeline.statistics.cameras).toEqual(counts);
  pipeline.deactivate(T0);
  frames.offer('exterior', image(T0 + 1n, 1));
  expect(pipeline.statistics.cameras).toEqual(counts);
  await engine.answer(0);
});

test('an_unknown_camera_is_a_programming_error', () => {
  expect(() => new LiveHarness().frames.offer('third', image(T0))).toThrow('No camera third is configured');
});
