import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PolicyConfig } from '../../../src/config/config.js';
import { configFromFile } from '../../../src/config/file.js';
import { Problems } from '../../../src/config/problems.js';
import { resizePillow } from '../../../src/engine/native.js';
import {
  type ImageSlot,
  IMAGE_SLOTS,
  type JointReading,
  type Observation,
  type View,
} from '../../../src/frame/frame.js';
import { JointTracker } from '../../../src/observation/joint-tracker.js';
import type { PolicyModel } from '../../../src/policy/model.js';
import { loadNormalizers, type Normalizers } from '../../../src/policy/normalizers.js';
import { Policy } from '../../../src/policy/policy.js';
import { readSafetensors, type SafetensorsTensor } from '../../../src/safetensors.js';
import { fixture, packageRoot } from '../root.js';

interface Case {
  readonly prompt: string;
  readonly cameras: Readonly<Record<string, { readonly width: number; readonly height: number }>>;
  /** The joint message; absent where there is no state. */
  readonly joints?: { readonly name: readonly string[]; readonly position: readonly number[] };
  /** The state after openpi's Normalize. */
  readonly normalized?: readonly number[];
  readonly tokens: readonly number[];
  /** SHA-256 of each slot's 224 × 224 × 3 bytes; null where openpi masks it. */
  readonly images: Readonly<Record<ImageSlot, string | null>>;
}

interface Golden {
  readonly horizon: number;
  readonly asset_id: string;
  readonly norm_stats: unknown;
  readonly cases: readonly Case[];
}

/** One case through the preset, and what openpi made of it. */
export interface Outcome {
  readonly expected: {
    readonly tokens: readonly number[];
    readonly images: readonly (string | null)[];
    readonly normalized: readonly number[];
    readonly robot: Float64Array;
  };
  readonly received: Outcome['expected'];
}

export const PRESETS = ['pi05_aloha', 'pi05_libero', 'pi05_droid', 'pi05_droid_jointpos'] as const;

/** Runs the cases `directory/<preset>.{json,safetensors}` through configs/<preset>.yaml, from messages to robot values. */
export async function outcomes(directory: string, preset: string): Promise<Outcome[]> {
  const golden = JSON.parse(readFileSync(join(directory, `${preset}.json`), 'utf8')) as Golden;
  const { tensors } = readSafetensors(join(directory, `${preset}.safetensors`));
  const config = configFromFile(join(packageRoot, 'configs', `${preset}.yaml`));
  const model: PolicyModel = {
    family: 'openpi',
    stateInPrompt: golden.cases.some(({ joints }) => joints !== undefined),
    paddedState: 0,
    slots: IMAGE_SLOTS.length,
    actionDim: 32,
    horizon: golden.horizon,
    maxTokens: 200,
    vocab: 512,
    rtcTrainedMaxDelay: 0,
  };
  const { policy, normalizers } = await loaded(golden, model, config);
  return golden.cases.map((given, index) => {
    const observation = observe(given, config);
    const { tokens, images } = policy.prepare(observation);
    const chunk = policy.finish(data(tensors, `actions_${String(index)}`) as Float32Array, observation);
    return {
      expected: {
        tokens: given.tokens,
        images: IMAGE_SLOTS.map((slot) => given.images[slot]),
        normalized: given.normalized ?? [],
        robot: data(tensors, `robot_${String(index)}`) as Float64Array,
      },
      received: {
        tokens: [...tokens],
        images: images.map((image) => (image === undefined ? null : sha256(resizePillow(image, 224)))),
        normalized: normalizers.state === undefined ? [] : [...normalizers.state.normalize(observation.state)],
        robot: chunk.values,
      },
    };
  });
}

async function loaded(
  golden: Golden,
  model: PolicyModel,
  config: PolicyConfig,
): Promise<{ policy: Policy; normalizers: Normalizers }> {
  const checkpoint = mkdtempSync(join(tmpdir(), 'pi05-presets-'));
  try {
    const assets = join(checkpoint, 'assets', golden.asset_id);
    mkdirSync(assets, { recursive: true });
    writeFileSync(join(assets, 'norm_stats.json'), JSON.stringify({ norm_stats: golden.norm_stats }));
    const tokenizer = fixture('pi05', 'tiny-lerobot', 'tokenizer', 'tokenizer.json');
    copyFileSync(tokenizer, join(checkpoint, 'tokenizer.json'));
    const problems = new Problems();
    const normalizers = loadNormalizers(checkpoint, model, config, problems);
    problems.throwIfAny();
    if (normalizers === undefined) throw new Error('no statistics and no problem');
    return { policy: await Policy.load(checkpoint, model, config), normalizers };
  } finally {
    rmSync(checkpoint, { recursive: true });
  }
}

function stateOf(config: PolicyConfig, reading: JointReading): Float64Array {
  const update = new JointTracker(config).update(reading, config.state.topic, reading.stamp);
  if (update.outcome !== 'accepted' || update.sample === undefined) throw new Error('a joint is missing');
  return update.sample.state;
}

function observe(given: Case, config: PolicyConfig): Observation {
  const { joints, prompt } = given;
  const none = new Float64Array(0);
  const state =
    joints === undefined
      ? none
      : stateOf(config, {
          stamp: 1n,
          name: joints.name,
          position: Float64Array.from(joints.position),
          velocity: none,
          effort: none,
        });
  const views = config.cameras.map(({ name, slot }): View => {
    const size = given.cameras[name];
    if (size === undefined) throw new Error(`no image for ${name}`);
    const salt = Object.keys(given.cameras).indexOf(name);
    return { camera: name, slot, frame: { ...testImage(size.width, size.height, salt), stamp: 1n } };
  });
  return { stamp: 1n, views, state, prompt };
}

/** The image that the README of the golden cases describes. */
function testImage(width: number, height: number, salt: number): Omit<View['frame'], 'stamp'> {
  const data = new Uint8Array(height * width * 3);
  let at = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (let c = 0; c < 3; c += 1) data[at++] = (x * 7 + y * 13 + c * 101 + x * y + salt * 37) % 256;
    }
  }
  return {
    width,
    height,
    step: width * 3,
    encoding: 'rgb8',
    data,
    fingerprint: { hash: BigInt(salt), uniform: false },
  };
}

function data(tensors: ReadonlyMap<string, SafetensorsTensor>, name: string): SafetensorsTensor['data'] {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`no tensor ${name}`);
  return tensor.data;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
