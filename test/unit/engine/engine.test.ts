import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { addon } from '../../../src/engine/addon.js';
import type { Engine, InferRequest, RtcRequest } from '../../../src/engine/engine.js';
import { openEngine, writeRandomWeights } from '../../../src/engine/native.js';
import { fixture } from '../root.js';
import { caseRequest, readCaseTensors } from './golden.js';

jest.setTimeout(120_000);

const nativeModule = new URL('../../../src/engine/native.js', import.meta.url).href;
const goldenModule = new URL('./golden.js', import.meta.url).href;
const tiny = { checkpoint: fixture('pi05', 'tiny-openpi'), backend: 'cpu', threads: 1 } as const;
const tensors = readCaseTensors('tiny-openpi', 'case_two_cameras_short_prompt');
const request = caseRequest(tensors);
/** Many flow steps: the inference takes long enough for other events to happen meanwhile. */
const long: InferRequest = { ...request, steps: 100 };

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'pi05-engine-'));
});
afterAll(() => rmSync(root, { recursive: true }));

describe('an open engine', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine(tiny);
  });
  afterAll(() => engine.close());

  test('leaves_the_event_loop_free_while_it_infers', async () => {
    const inferences = 5;
    let ticks = 0;
    for (let i = 0; i < inferences; i += 1) {
      let settled = false;
      const inference = engine.infer(long).finally(() => (settled = true));
      const timer = setInterval(() => (ticks += settled ? 0 : 1), 1);
      await inference;
      clearInterval(timer);
    }
    // If the loop were blocked, there would be at most one tick between the end of an inference and its promise's settling.
    expect(ticks).toBeGreaterThan(2 * inferences);
  });

  test('rejects_a_second_inference_while_one_runs_and_accepts_the_next_one_afterwards', async () => {
    const first = engine.infer(request);
    await expect(engine.infer(request)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Expected one inference at a time, received another while one runs',
    });
    const { actions } = await first;
    expect((await engine.infer(request)).actions).toEqual(actions);
  });

  test('accepts_the_next_inference_as_soon_as_one_has_settled', async () => {
    const steps = 1;
    for (let i = 0; i < 3; i += 1) await engine.infer({ ...request, steps });
    await expect(engine.infer({ ...request, tokens: Int32Array.of(100_000) })).rejects.toBeDefined();
    await engine.infer({ ...request, steps });
  });

  test('takes_views_that_begin_in_the_middle_of_a_buffer', async () => {
    const expected = (await engine.infer(request)).actions;
    const noise = new Float32Array(request.noise.length + 3).subarray(3);
    noise.set(request.noise);
    expect((await engine.infer({ ...request, noise })).actions).toEqual(expected);
  });

  test('counts_the_time_of_the_inference', async () => {
    const { milliseconds } = await engine.infer(request);
    expect(milliseconds).toBeGreaterThan(0);
  });

  const image = { width: 4, height: 2, step: 12, encoding: 'rgb8', data: new Uint8Array(24) } as const;
  const images = (changes: object): Partial<InferRequest> => ({
    images: [{ ...image, ...changes }, undefined, undefined],
  });
  const previous = new Float32Array(64);
  const guided: RtcRequest = {
    mode: 'guided',
    previous,
    previousRows: 2,
    delay: 1,
    schedule: 'linear',
    executionHorizon: 2,
    maxWeight: 5,
  };
  test.each<[string, Partial<InferRequest>, RegExp]>([
    ['too_few_slots', { images: [] }, /Expected 3 image slots .* received 0/],
    ['no_camera_at_all', { images: [undefined, undefined, undefined] }, /Expected/],
    ['short_noise', { noise: new Float32Array(32) }, /Expected 320 values for noise \[10, 32\], received 32/],
    ['long_noise', { noise: new Float32Array(321) }, /received 321/],
    ['noise_that_is_not_finite', { noise: new Float32Array(320).fill(NaN, 5) }, /received NaN at index 5/],
    ['no_tokens', { tokens: new Int32Array() }, /Expected 1 to 48 prompt tokens, received 0/],
    ['too_many_tokens', { tokens: new Int32Array(49).fill(2) }, /received 49/],
    ['a_token_beyond_the_vocabulary', { tokens: Int32Array.of(2, 512) }, /512/],
    ['a_negative_token', { tokens: Int32Array.of(-1) }, /-1/],
    ['zero_steps', { steps: 0 }, /at least 1 flow step, received 0/],
    ['half_a_step', { steps: 2.5 }, /received 2.5/],
    ['too_many_steps', { steps: 1_000_000 }, /1000000/],
    [
      'image_data_shorter_than_its_rows',
      images({ data: new Uint8Array(23) }),
      /Expected 2 rows of 12 bytes for image 0, received 23 bytes/,
    ],
    [
      'a_step_shorter_than_a_row',
      images({ step: 11 }),
      /Expected a step of at least 12 bytes for image 0, received 11/,
    ],
    ['an_image_without_width', images({ width: 0 }), /Expected 1 to 65536 pixels a side for image 0, received 0x2/],
    ['half_a_pixel', images({ width: 1.5 }), /whole number for an image's width/],
    [
      'an_image_whose_shorter_side_would_be_resized_to_nothing',
      images({ width: 3 * 2 * 224, height: 2, step: 9 * 2 * 224, data: new Uint8Array(36 * 224) }),
      /Expected an aspect ratio of at most \d+:1 for image 0, received 1344x2/,
    ],
    ['an_unknown_encoding', images({ encoding: 'yuv422' }), /received yuv422/],
    ['an_encoding_of_the_prototype', images({ encoding: 'constructor' }), /received constructor/],
    ['bytes_for_noise', { noise: new Uint8Array(320) as unknown as Float32Array }, /Expected a Float32Array for noise/],
    ['a_list_for_tokens', { tokens: [2] as unknown as Int32Array }, /Expected an Int32Array for tokens/],
    ['too_many_previous_rows', { rtc: { ...guided, previousRows: 11 } }, /Expected 1 to 10 rows .* received 11/],
    [
      'a_short_previous_chunk',
      { rtc: { ...guided, previous: new Float32Array(32) } },
      /Expected 64 values .* received 32/,
    ],
    ['a_negative_delay', { rtc: { ...guided, delay: -1 } }, /delay from 0 to 2, received -1/],
    ['guidance_without_weight', { rtc: { ...guided, maxWeight: NaN } }, /guidance weight, received NaN/],
    [
      'guidance_without_schedule',
      { rtc: { mode: 'guided', previous, previousRows: 2, delay: 1 } },
      /Expected schedule/,
    ],
    ['an_unknown_schedule', { rtc: { ...guided, schedule: 'cubic' as 'exp' } }, /received cubic/],
  ])('rejects_%s', async (_claim, change, sentence) => {
    await expect(engine.infer({ ...request, ...change })).rejects.toMatchObject({
      name: 'Pi05Error',
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(sentence),
    });
  });
});

test('keeps_the_buffers_of_a_request_that_has_no_other_reference', async () => {
  // Calls the addon directly, because the async function `engine.infer` keeps a reference to the request.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const native = addon();
  const { session } = await native.open({ ...tiny, precision: 'bf16', lowPriority: true });
  // Not async, so that no async function keeps a reference to the request.
  const infer = (given: InferRequest): Promise<Float32Array> => {
    const actions = new Float32Array(320);
    return native.infer(session, given, actions).then(() => actions);
  };
  const expected = await infer(long);
  const actions = infer({
    ...long,
    images: long.images.map((image) => image && { ...image, data: Uint8Array.from(image.data) }),
    noise: Float32Array.from(long.noise),
    tokens: Int32Array.from(long.tokens),
  });
  for (let i = 0; i < 5; i += 1) {
    collect();
    for (const bytes of [224 * 224 * 3, 1280, 80]) for (let k = 0; k < 20; k += 1) new Uint8Array(bytes).fill(85);
  }
  expect(await actions).toEqual(expected);
  await native.close(session);
});

test('infers_at_low_priority_on_as_many_threads_as_it_was_given', async () => {
  const before = new Set(threads().map(({ id }) => id));
  const engine = await openEngine({ ...tiny, threads: 3 });
  await engine.infer(request);
  const added = threads().filter(({ id }) => !before.has(id));
  await engine.close();
  const SCHED_IDLE = 5;
  expect(
    added.filter(({ policy, nice }) => policy === SCHED_IDLE || nice >= Math.max(10, getPriority() + 1)),
  ).toHaveLength(3);
  expect(threads().find(({ id }) => id === process.pid)).toMatchObject({ policy: 0, nice: getPriority() });
});

/** This process's threads, from the kernel (proc(5)). */
function threads(): { id: number; name: string; nice: number; policy: number }[] {
  return readdirSync('/proc/self/task').map((task) => {
    const stat = readFileSync(`/proc/self/task/${task}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return { id: Number(task), name, nice: Number(fields[16]), policy: Number(fields[38]) };
  });
}

describe('closing', () => {
  test('waits_for_the_inference_in_flight_and_rejects_later_ones', async () => {
    const engine = await openEngine(tiny);
    const inference = engine.infer(long);
    const closed = engine.close();
    await expect(engine.infer(request)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Expected an open engine, received a closed one',
    });
    await closed;
    const actions = await Promise.race([inference.then((result) => result.actions), setImmediate(undefined)]);
    expect(actions?.every(Number.isFinite)).toBe(true);
    await expect(engine.close()).resolves.toBeUndefined();
  });

  test('ends_the_engine_thread_at_once', async () => {
    const engine = await openEngine(tiny);
    const named = (): number => threads().filter(({ name }) => name === 'pi05').length;
    const open = named();
    await engine.close();
    expect(named()).toBe(open - 1);
  });
});

describe('opening', () => {
  test('names_a_directory_that_is_not_there', async () => {
    await expect(openEngine({ ...tiny, checkpoint: join(root, 'absent') })).rejects.toMatchObject({
      code: 'CHECKPOINT_MISSING',
      message: expect.stringContaining('absent'),
      source: join(root, 'absent'),
    });
  });

  test('rejects_weights_that_are_no_safetensors_file', async () => {
    const checkpoint = join(root, 'garbage');
    mkdirSync(checkpoint);
    writeFileSync(join(checkpoint, 'model.safetensors'), 'not a model');
    await expect(openEngine({ ...tiny, checkpoint })).rejects.toMatchObject({
      name: 'Pi05Error',
      code: expect.stringMatching(/^CHECKPOINT_/),
    });
  });

  test.each([-1, 1.5, NaN, 2000])('rejects_%d_threads', async (threads) => {
    await expect(openEngine({ ...tiny, threads })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('rejects_an_unknown_backend', async () => {
    await expect(openEngine({ ...tiny, backend: 'tpu' as 'cpu' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Expected backend of auto, cpu, cuda, received tpu',
    });
  });

  test('rejects_fp8_on_the_cpu_and_an_unknown_precision', async () => {
    await expect(openEngine({ ...tiny, precision: 'fp8' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Expected backend cuda or auto for precision fp8, received cpu',
    });
    await expect(openEngine({ ...tiny, precision: 'int8' as 'fp8' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Expected precision of bf16, fp8, received int8',
    });
  });
});

describe('random weights', () => {
  async function checkpoint(name: string, size: 'tiny' | 'demo', seed: bigint): Promise<string> {
    const directory = join(root, name);
    mkdirSync(directory);
    await writeRandomWeights(directory, size, seed);
    return directory;
  }

  test.each(['tiny', 'demo'] as const)('give_healthy_actions_at_%s_size', async (size) => {
    const engine = await openEngine({ checkpoint: await checkpoint(size, size, 1n), backend: 'cpu', threads: 2 });
    const { horizon, actionDim } = engine.info;
    const noise = Float32Array.from({ length: horizon * actionDim }, (_, i) => request.noise[i % 320]!);
    const { actions } = await engine.infer({ ...request, noise });
    await engine.close();
    const mean = actions.reduce((sum, value) => sum + value, 0) / actions.length;
    const deviation = Math.sqrt(actions.reduce((sum, value) => sum + (value - mean) ** 2, 0) / actions.length);
    expect(deviation).toBeGreaterThan(0.3);
    expect(deviation).toBeLessThan(5);
  });

  test('reject_a_directory_that_is_not_there', async () => {
    await expect(writeRandomWeights(join(root, 'nowhere'), 'tiny', 0n)).rejects.toMatchObject({
      name: 'Pi05Error',
      source: join(root, 'nowhere'),
    });
  });

  test('reject_a_seed_beyond_64_bits', async () => {
    await expect(writeRandomWeights(root, 'tiny', 1n << 64n)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('a Node.js environment that ends with an inference in flight', () => {
  const script = (statements: string): string => `
    const { openEngine } = await import(${JSON.stringify(nativeModule)});
    const { caseRequest, readCaseTensors } = await import(${JSON.stringify(goldenModule)});
    const request = caseRequest(readCaseTensors('tiny-openpi', 'case_two_cameras_short_prompt'));
    const engine = await openEngine(${JSON.stringify(tiny)});
    const inference = engine.infer({ ...request, steps: 100 });
    ${statements}`;
  const node = (statements: string): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script(statements)]);

  test('keeps_the_exit_code_of_process_exit', async () => {
    await expect(node('setTimeout(() => process.exit(7), 5);')).rejects.toMatchObject({ code: 7, signal: null });
  });

  test('keeps_the_exit_code_of_an_uncaught_error', async () => {
    await expect(node('setTimeout(() => { throw new Error("on purpose") }, 5);')).rejects.toMatchObject({
      code: 1,
      signal: null,
      stderr: expect.stringContaining('on purpose'),
    });
  });

  test('waits_for_the_inference_and_then_ends_without_a_call_of_close', async () => {
    const { stdout } = await node('inference.then(({ actions }) => console.log(actions.length));');
    expect(stdout).toBe('320\n');
  });

  test('lets_a_worker_thread_be_terminated', async () => {
    for (let i = 0; i < 5; i += 1) {
      const code = `${script("(await import('node:worker_threads')).parentPort.postMessage('running');")}`;
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      await expect(worker.terminate()).resolves.toBe(1);
    }
  });
});
