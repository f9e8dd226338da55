import { expect, test } from '@jest/globals';
import { ENGINE_LIMITS } from '../../../src/config/engine-limits.js';
import { type Declaration, type Pattern, SCHEMA } from '../../../src/config/schema.js';
import { addon } from '../../../src/engine/addon.js';
import { openEngine } from '../../../src/engine/native.js';
import { fixture } from '../root.js';

const LIMITS = addon().limits();

test('the_engine_has_the_limits_that_the_configuration_is_checked_against', () => {
  expect(LIMITS).toEqual(ENGINE_LIMITS);
});

test.each<[Pattern, keyof typeof LIMITS]>([
  ['flow_steps', 'maxFlowSteps'],
  ['threads', 'maxThreads'],
  ['image.min_size', 'maxImageSide'],
  ['image.max_size', 'maxImageSide'],
])('the_largest_legal_%s_is_the_engines_%s', (parameter, limit) => {
  const { max }: Declaration = SCHEMA[parameter];
  expect(max).toBe(LIMITS[limit]);
});

test('the_engine_runs_the_largest_legal_number_of_flow_steps_and_rejects_one_more', async () => {
  const { max = NaN }: Declaration = SCHEMA.flow_steps;
  const engine = await openEngine({ checkpoint: fixture('pi05', 'tiny-openpi'), backend: 'cpu', threads: 1 });
  try {
    const { info } = engine;
    const image = { width: 32, height: 32, step: 96, encoding: 'rgb8', data: new Uint8Array(32 * 96) } as const;
    const request = {
      images: Array.from({ length: info.slots }, (_, slot) => (slot === 0 ? image : undefined)),
      tokens: Int32Array.of(2),
      noise: new Float32Array(info.horizon * info.actionDim),
    };
    await expect(engine.infer({ ...request, steps: max })).resolves.toBeDefined();
    await expect(engine.infer({ ...request, steps: max + 1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  } finally {
    await engine.close();
  }
});

test('the_largest_aspect_ratio_that_the_engine_takes_is_its_image_size', async () => {
  const engine = await openEngine({ checkpoint: fixture('pi05', 'tiny-openpi'), backend: 'cpu', threads: 1 });
  try {
    const { info } = engine;
    const infer = async (width: number, height: number): Promise<unknown> => {
      const image = { width, height, step: width, encoding: 'mono8', data: new Uint8Array(width * height) } as const;
      return await engine.infer({
        images: Array.from({ length: info.slots }, (_, slot) => (slot === 0 ? image : undefined)),
        tokens: Int32Array.of(2),
        noise: new Float32Array(info.horizon * info.actionDim),
        steps: 1,
      });
    };
    for (const shorter of [1, 3]) {
      const longest = info.imageSize * shorter;
      await expect(infer(longest, shorter)).resolves.toBeDefined();
      await expect(infer(shorter, longest)).resolves.toBeDefined();
      const beyond = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('aspect ratio') };
      await expect(infer(longest + 1, shorter)).rejects.toMatchObject(beyond);
      await expect(infer(shorter, longest + 1)).rejects.toMatchObject(beyond);
    }
  } finally {
    await engine.close();
  }
});
