import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { Engine, InferResult, RtcRequest } from '../../../src/engine/engine.js';
import { openEngine } from '../../../src/engine/native.js';
import { fixture } from '../root.js';
import { FAMILIES, caseNames, caseRequest, floats, readCaseTensors, relativeError } from './golden.js';

/** K passes through the rotary embedding, whose angles are large; other tensors are plain sums. */
const K_TOLERANCE = 3e-5;
const TOLERANCE = 1e-5;

/** Tensors of a case that are also in the trace. The others are inputs, actions, or results in another precision. */
const TRACED = /^(siglip_\d|prefix_[kv]_(0|last)|time_cond_0|v_t_(0|last))$/;

describe.each(FAMILIES)('%s', (family) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine({ checkpoint: fixture('pi05', family), backend: 'cpu', threads: 2 });
  });
  afterAll(() => engine.close());

  test('is_recognised_by_its_tensor_names', () => {
    const lerobot = family === 'tiny-lerobot';
    expect(engine.info).toMatchObject({
      family: lerobot ? 'lerobot' : 'openpi',
      resize: lerobot ? 'lerobot' : 'pillow',
      backend: 'cpu',
      slots: 3,
      actionDim: 32,
      horizon: 10,
      flowSteps: 10,
      maxTokens: 48,
      vocab: 512,
    });
    expect(engine.info.familyReason).not.toBe('');
  });

  describe.each(caseNames(family))('%s', (name) => {
    const tensors = readCaseTensors(family, name);
    const traced = [...tensors.keys()].filter((key) => TRACED.test(key));
    let result: InferResult;
    beforeAll(async () => {
      result = await engine.infer({ ...caseRequest(tensors), trace: true });
    });

    test('gives_the_reference_actions', () => {
      expect(relativeError(result.actions, floats(tensors, 'actions'))).toBeLessThanOrEqual(TOLERANCE);
    });

    test.each(traced)('passes_through_the_reference_%s', (key) => {
      const tensor = result.trace.get(key);
      expect(tensor?.shape).toEqual(tensors.get(key)?.shape);
      const tolerance = key.startsWith('prefix_k') ? K_TOLERANCE : TOLERANCE;
      expect(relativeError(tensor!.data, floats(tensors, key))).toBeLessThanOrEqual(tolerance);
    });

    test('traces_nothing_unless_requested', async () => {
      const plain = await engine.infer(caseRequest(tensors));
      expect(plain.trace.size).toBe(0);
      expect(plain.actions).toEqual(result.actions);
    });

    if (tensors.has('actions_steps_5')) {
      test('gives_the_reference_actions_in_5_steps', async () => {
        const { actions } = await engine.infer({ ...caseRequest(tensors), steps: 5 });
        expect(relativeError(actions, floats(tensors, 'actions_steps_5'))).toBeLessThanOrEqual(TOLERANCE);
      });
    }
  });
});

interface RtcRun {
  readonly name: string;
  readonly mode: 'guided' | 'trained';
  readonly schedule?: 'linear' | 'exp';
  readonly inference_delay: number;
  readonly execution_horizon?: number;
  readonly max_guidance_weight?: number;
}

describe('real-time chunking', () => {
  const base = readCaseTensors('tiny-lerobot', 'case_two_cameras');
  const expected = readCaseTensors('tiny-lerobot', 'case_two_cameras_rtc');
  const { runs } = JSON.parse(readFileSync(fixture('pi05', 'tiny-lerobot', 'case_two_cameras_rtc.json'), 'utf8')) as {
    runs: RtcRun[];
  };
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine({ checkpoint: fixture('pi05', 'tiny-lerobot'), backend: 'cpu', threads: 1 });
  });
  afterAll(() => engine.close());

  test.each(runs)('agrees_with_the_reference_$name', async (run) => {
    const previous = floats(expected, 'prev_chunk');
    const common = { mode: run.mode, previous, previousRows: 7, delay: run.inference_delay };
    const rtc: RtcRequest =
      run.mode === 'trained'
        ? common
        : {
            ...common,
            schedule: run.schedule!,
            executionHorizon: run.execution_horizon!,
            maxWeight: run.max_guidance_weight!,
          };
    const { actions } = await engine.infer(caseRequest(base, rtc));
    const reference = floats(expected, `${run.name}_actions`);
    expect(relativeError(actions, reference)).toBeLessThanOrEqual(TOLERANCE);
    expect(relativeError(floats(base, 'actions'), reference)).toBeGreaterThan(0.01);
  });
});

test('gives_the_same_bits_with_any_number_of_threads', async () => {
  const request = caseRequest(readCaseTensors('tiny-openpi', 'case_two_cameras_short_prompt'));
  const results: Float32Array[] = [];
  for (const threads of [1, 2, 3]) {
    const engine = await openEngine({ checkpoint: fixture('pi05', 'tiny-openpi'), backend: 'cpu', threads });
    results.push((await engine.infer(request)).actions);
    await engine.close();
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});
