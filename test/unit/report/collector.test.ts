import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import type { PolicyConfig } from '../../../src/config/config.js';
import { Pi05Error, Refusal } from '../../../src/errors.js';
import type { RawImage } from '../../../src/frame/frame.js';
import { ReportCollector } from '../../../src/report/collector.js';
import { thumbnail } from '../../../src/report/thumbnail.js';
import { actionJoint, exterior, image, joints, MS, robot, SECOND, T0 } from '../pipeline/robot.js';

const TIMING = { inferenceMs: 30, latencyMs: 50 };

/** rgb8 of one colour, or in another encoding the bytes of one pixel. */
function plain(pixel: readonly number[], changes: Partial<RawImage> = {}): RawImage {
  const [width, height] = [40, 30];
  const data = Uint8Array.from({ length: width * height * pixel.length }, (_, i) => pixel[i % pixel.length]!);
  return image(T0, 0, { width, height, step: width * pixel.length, data, ...changes });
}

/** A data URI's mean colour, in tens, which JPEG does not change. */
async function colour(source: string | undefined): Promise<number[]> {
  const { channels } = await sharp(Buffer.from(source!.replace('data:image/jpeg;base64,', ''), 'base64')).stats();
  return channels.map(({ mean }) => Math.round(mean / 10));
}

function newCollector(changes: Partial<PolicyConfig> = {}): ReportCollector {
  return new ReportCollector(robot({ cameras: [exterior], ...changes }));
}

describe('the collector', () => {
  test('shows_what_happened_in_seconds_since_the_first_event', async () => {
    const collector = newCollector();
    collector.joints(joints(T0, { b: 2, other: 9, a: 1 }), T0);
    collector.action({ joints: ['a', 'b'], values: Float64Array.of(3, 4) }, T0 + 10n * MS);
    const values = Float64Array.of(1, 2, 3, 4);
    collector.chunk({ stamp: T0 + 20n * MS, joints: ['a', 'b'], rows: 2, values, period: 0.1 }, TIMING, T0 + 70n * MS);
    collector.command({ time: T0 + 100n * MS, reason: 'step', values: Float64Array.of(1, 2) }, T0 + 100n * MS);
    collector.command({ time: T0 + 200n * MS, reason: 'hold', values: Float64Array.of(1, 2) }, T0 + 200n * MS);
    collector.refusal(
      new Refusal('JOINT_MISSING', 'Expected a, received b from joint_states', 'joint_states'),
      T0 + SECOND,
    );
    collector.fault(new Pi05Error('TICK_LATE', 'Expected a tick', 'tick'), T0 + 2n * SECOND);
    expect(await collector.data()).toEqual({
      start: 1000,
      duration: 2,
      cameras: [{ name: 'exterior', topic: 'exterior/image_raw', messages: 0, frames: [] }],
      joints: [
        { name: 'a', quantity: 'position', measured: [[0, 1]], recorded: [[0.01, 3]] },
        { name: 'b', quantity: 'position', measured: [[0, 2]], recorded: [[0.01, 4]] },
      ],
      chunks: [
        {
          stamp: 0.02,
          period: 0.1,
          values: [
            [1, 3],
            [2, 4],
          ],
        },
      ],
      chunkCount: 1,
      commands: { step: 1, hold: 1, stop: 0 },
      events: [
        {
          code: 'HOLD',
          kind: 'command',
          count: 1,
          first: 0.2,
          last: 0.2,
          marks: [{ from: 0.2, to: 0.2, count: 1, text: 'The policy commands hold' }],
        },
        {
          code: 'JOINT_MISSING',
          kind: 'refusal',
          count: 1,
          first: 1,
          last: 1,
          marks: [{ from: 1, to: 1, count: 1, text: 'Expected a, received b from joint_states' }],
        },
        {
          code: 'TICK_LATE',
          kind: 'fault',
          count: 1,
          first: 2,
          last: 2,
          marks: [{ from: 2, to: 2, count: 1, text: 'Expected a tick' }],
        },
      ],
      inferenceMs: [30],
      latencyMs: [50],
    });
  });

  test('integrates_velocities_that_are_sent_as_positions_from_the_measured_position_at_the_stamp', async () => {
    const integrated = [
      actionJoint('a', { kind: 'velocity', integrated: true }),
      actionJoint('b', { kind: 'velocity' }),
    ];
    const collector = newCollector({ action: { joints: integrated, bound: 'none' } });
    const velocity = Float64Array.of(0.5, 0.25);
    collector.joints({ ...joints(T0, { a: 1, b: 0 }), velocity }, T0);
    collector.joints({ ...joints(T0, { a: 9, b: 0 }), velocity }, T0 + 50n * MS);
    const values = Float64Array.of(2, 7, -4, 7);
    collector.chunk({ stamp: T0 + 20n * MS, joints: ['a', 'b'], rows: 2, values, period: 0.5 }, TIMING, T0 + 70n * MS);
    const { chunks, joints: both } = await collector.data();
    expect(chunks[0]?.values).toEqual([
      [2, 0],
      [7, 7],
    ]);
    expect(both.map(({ quantity, measured }) => [quantity, measured[0]?.[1]])).toEqual([
      ['position', 1],
      ['velocity', 0.25],
    ]);
  });

  test('does_not_grow_with_the_length_of_the_bag_and_loses_no_count', async () => {
    const collector = newCollector();
    const rows = 50;
    const values = new Float64Array(2 * rows);
    for (let k = 0; k < 20_000; k++) {
      const now = T0 + BigInt(k) * 180n * MS;
      collector.joints(joints(now, { a: Math.sin(k), b: k }), now);
      collector.action({ joints: ['a', 'b'], values: Float64Array.of(k, 0) }, now);
      collector.refusal(new Refusal('CAMERA_STALE', `Expected ${'x'.repeat(1000)}`, 'exterior/image_raw'), now);
      if (k % 10 === 0) collector.chunk({ stamp: now, joints: ['a', 'b'], rows, values, period: 0.1 }, TIMING, now);
      if (k % 10 === 0) collector.image('exterior', image(now), now);
    }
    const data = await collector.data();
    expect(data.chunkCount).toBe(2000);
    expect(data.chunks.length).toBeGreaterThan(150);
    expect(data.chunks.length).toBeLessThanOrEqual(400);
    const [camera] = data.cameras;
    expect(camera?.messages).toBe(2000);
    expect(camera?.frames.length).toBeGreaterThanOrEqual(24);
    expect(camera?.frames.length).toBeLessThanOrEqual(48);
    const [stale] = data.events;
    expect(stale?.count).toBe(20_000);
    expect(stale?.marks.reduce((sum, { count }) => sum + count, 0)).toBe(20_000);
    expect(stale?.marks.length).toBeLessThanOrEqual(250);
    expect(stale?.marks[0]?.text.length).toBeLessThan(210);
    expect(JSON.stringify(data).length).toBeLessThan(4e6);
  });

  test('draws_fewer_chunks_of_many_joints_and_steps', async () => {
    const names = Array.from({ length: 14 }, (_, index) => `j${index}`);
    const collector = newCollector({ action: { joints: names.map((name) => actionJoint(name)), bound: 'none' } });
    const chunk = { joints: names, rows: 50, values: new Float64Array(700), period: 0.02 };
    for (let k = 0n; k < 1000n; k++) collector.chunk({ ...chunk, stamp: T0 + k * SECOND }, TIMING, T0 + k * SECOND);
    const { chunks } = await collector.data();
    expect(chunks.length * 700).toBeLessThanOrEqual(120_000);
    expect(chunks.length).toBeGreaterThan(60);
  });
});

describe('a thumbnail', () => {
  test.each([
    ['rgb8', [200, 100, 50]],
    ['bgr8', [50, 100, 200]],
    ['rgba8', [200, 100, 50, 0]],
    ['bgra8', [50, 100, 200, 0]],
  ])('has_the_colours_of_%s', async (encoding, pixel) => {
    expect(await colour(await thumbnail(plain(pixel, { encoding })))).toEqual([20, 10, 5]);
  });

  test('is_grey_for_mono8', async () => {
    expect(await colour(await thumbnail(plain([120], { encoding: 'mono8' })))).toEqual([12, 12, 12]);
  });

  test('reads_rows_with_padding', async () => {
    const data = new Uint8Array(30 * 130).fill(255);
    for (let y = 0; y < 30; y++) data.fill(100, y * 130, y * 130 + 120);
    expect(await colour(await thumbnail(plain([0, 0, 0], { data, step: 130 })))).toEqual([10, 10, 10]);
  });

  test('is_small_for_a_large_image', async () => {
    const data = new Uint8Array(1920 * 1080 * 3);
    const source = await thumbnail(plain([0, 0, 0], { width: 1920, height: 1080, step: 5760, data }));
    const { width, height } = await sharp(Buffer.from(source!.split(',')[1]!, 'base64')).metadata();
    expect([width, height]).toEqual([192, 108]);
  });

  test('does_not_change_when_the_message_is_reused', async () => {
    const raw = plain([200, 100, 50]);
    const jpeg = await sharp(raw.data, { raw: { width: 40, height: 30, channels: 3 } })
      .jpeg()
      .toBuffer();
    const compressed = { stamp: T0, format: 'jpeg', data: Uint8Array.from(jpeg) };
    const both = [thumbnail(raw), thumbnail(compressed)];
    raw.data.fill(0);
    compressed.data.fill(0);
    expect(await Promise.all(both.map(async (source) => await colour(await source)))).toEqual([
      [20, 10, 5],
      [20, 10, 5],
    ]);
  });

  test.each([
    ['bytes_are_missing', plain([1, 2, 3], { data: new Uint8Array(10) })],
    ['the_encoding_is_unknown', plain([1, 2, 3], { encoding: 'bayer_rggb8' })],
    ['there_are_no_pixels', plain([1, 2, 3], { width: 0, height: 0 })],
    ['a_file_is_no_image', { stamp: T0, format: 'jpeg', data: Uint8Array.of(1, 2, 3) }],
  ])('is_undefined_where_%s', async (_, message) => {
    expect(await thumbnail(message)).toBeUndefined();
  });
});
