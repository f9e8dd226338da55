import { readFileSync } from 'node:fs';
import { CdrWriter } from '@foxglove/cdr';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import type { PolicyConfig, ScheduleConfig } from '../../../src/config/config.js';
import { decodeCompressedImage, decodeImage, decodeJointState, decodeString } from '../../../src/messages/decode.js';
import type { Engine, InferRequest } from '../../../src/engine/engine.js';
import { openEngine } from '../../../src/engine/native.js';
import type { ActionChunk, Command, Observation } from '../../../src/frame/frame.js';
import { LiveFrames } from '../../../src/pipeline/live-frames.js';
import { Pipeline } from '../../../src/pipeline/pipeline.js';
import type { PolicyLike } from '../../../src/pipeline/interfaces.js';
import { Policy } from '../../../src/policy/policy.js';
import { floats, readCaseTensors, relativeError } from '../engine/golden.js';
import { fixture } from '../root.js';
import { until } from './harness.js';
import { actionJoint, exterior, header, robot, SECOND, stateJoint, T0, wrist } from './robot.js';

/** The golden case as ROS messages, through the real decoder, policy and engine. */
const DIRECTORY = fixture('pi05', 'tiny-lerobot');
const tensors = readCaseTensors('tiny-lerobot', 'case_two_cameras');
const golden = JSON.parse(readFileSync(fixture('pi05', 'tiny-lerobot', 'case_two_cameras.json'), 'utf8')) as {
  task: string;
  tokens: number[];
  state_raw: number[];
};
const NAMES = golden.state_raw.map((_, i) => `joint${i}`);
const TICK = SECOND / 20n;

function config(schedule: Partial<ScheduleConfig> = {}): PolicyConfig {
  return robot(
    {
      prompt: '',
      controlRate: 20,
      outputRate: undefined,
      image: { minSize: 32, maxSize: 8192 },
      state: {
        mode: 'joints',
        topic: 'joint_states',
        maxAge: SECOND,
        zeroStamp: 'refuse',
        joints: NAMES.map((name) => stateJoint(name)),
      },
      action: { joints: NAMES.map((name) => actionJoint(name)), bound: 'none' },
    },
    { lockstep: true, mode: 'sync', replanSteps: 2, ...schedule },
  );
}

function pixels(slot: number): Uint8Array {
  const tensor = tensors.get(`image_${slot}`);
  if (tensor?.dtype !== 'U8') throw new Error(`no image for slot ${slot}`);
  return tensor.data;
}

function imageMessage(slot: number, stamp: bigint): Uint8Array {
  const writer = header(stamp)
    .uint32(224)
    .uint32(224)
    .string('rgb8')
    .uint8(0)
    .uint32(224 * 3);
  return writer.uint8Array(pixels(slot), true).data;
}

async function pngMessage(slot: number, stamp: bigint): Promise<Uint8Array> {
  const png = await sharp(pixels(slot), { raw: { width: 224, height: 224, channels: 3 } })
    .png()
    .toBuffer();
  return header(stamp).string('png').uint8Array(png, true).data;
}

/** The joints of the case in reverse order, with another one. */
function jointMessage(stamp: bigint): Uint8Array {
  const names = [...NAMES, 'other'].reverse();
  const values = [...golden.state_raw, NaN].reverse();
  const writer = header(stamp).sequenceLength(names.length);
  for (const name of names) writer.string(name);
  return writer.float64Array(values, true).sequenceLength(0).sequenceLength(0).data;
}

function promptMessage(text: string): Uint8Array {
  return new CdrWriter().string(text).data;
}

let engine: Engine;
let policy: Policy;
beforeAll(async () => {
  engine = await openEngine({ checkpoint: DIRECTORY, backend: 'cpu', threads: 1 });
  policy = await Policy.load(DIRECTORY, engine.info, config());
});
afterAll(() => engine.close());

/** The real policy with the case's noise. */
class GoldenPolicy implements PolicyLike {
  prepared: Pick<InferRequest, 'images' | 'tokens' | 'noise'> | undefined;
  prepare(observation: Observation): Pick<InferRequest, 'images' | 'tokens' | 'noise'> {
    return (this.prepared = { ...policy.prepare(observation), noise: floats(tensors, 'noise') });
  }
  previousActions(chunk: ActionChunk, firstRow: number, observation: Observation): Float32Array {
    return policy.previousActions(chunk, firstRow, observation);
  }
  finish(actions: Float32Array, observation: Observation): ActionChunk {
    return policy.finish(actions, observation);
  }
}

/** A pipeline in lock-step that receives serialised messages. */
class Robot {
  readonly chunks: ActionChunk[] = [];
  readonly commands: Command[] = [];
  readonly problems: string[] = [];
  readonly pipeline: Pipeline;

  constructor(policyLike: PolicyLike, schedule: Partial<ScheduleConfig> = {}) {
    this.pipeline = new Pipeline(config(schedule), policyLike, engine, {
      chunk: (chunk) => this.chunks.push(chunk),
      command: (command) => this.commands.push(command),
      refusal: (refusal) => this.problems.push(String(refusal)),
      fault: (fault) => this.problems.push(String(fault)),
    });
    this.pipeline.setPrompt(decodeString(promptMessage(golden.task), 'prompt'), T0);
    this.pipeline.activate(T0);
  }

  /** One message of each stream. */
  offer(now: bigint): void {
    const frames = new LiveFrames(this.pipeline, config(), { now: () => now, inOrder: false });
    frames.offer('exterior', decodeImage(imageMessage(0, now), exterior.topic));
    frames.offer('wrist', decodeImage(imageMessage(1, now), wrist.topic));
    this.pipeline.offerJoints(decodeJointState(jointMessage(now), 'joint_states'), now);
  }

  /** A tick in lock-step, whose command waits for the messages of its time. */
  async step(now: bigint): Promise<void> {
    const before = this.commands.length;
    this.offer(now);
    this.pipeline.tick(now, 0n);
    await until(() => this.commands.length > before);
  }
}

describe('the golden case as ROS messages', () => {
  test('gives_the_tokens_and_the_actions_of_the_reference_in_the_robots_units', async () => {
    const policyLike = new GoldenPolicy();
    const robot = new Robot(policyLike);
    await robot.step(T0);
    expect(robot.problems).toEqual([]);
    expect([...policyLike.prepared!.tokens]).toEqual(golden.tokens);
    const [chunk] = robot.chunks;
    expect(chunk).toMatchObject({ stamp: T0, joints: NAMES, rows: 10, period: 1 / 20 });
    expect(relativeError(Float32Array.from(chunk!.values), floats(tensors, 'actions_robot'))).toBeLessThanOrEqual(1e-5);
    expect(robot.commands).toEqual([{ time: T0, reason: 'step', values: chunk!.values.slice(0, 7), observation: T0 }]);
  });

  test('gives_the_same_chunk_bit_for_bit_from_png', async () => {
    const [raw, compressed] = [new Robot(policy), new Robot(policy)];
    await raw.step(T0);
    const { pipeline } = compressed;
    const frames = new LiveFrames(pipeline, config(), { now: () => T0, inOrder: false });
    frames.offer('exterior', decodeCompressedImage(await pngMessage(0, T0), exterior.topic));
    frames.offer('wrist', decodeCompressedImage(await pngMessage(1, T0), wrist.topic));
    pipeline.offerJoints(decodeJointState(jointMessage(T0), 'joint_states'), T0);
    pipeline.tick(T0, 0n);
    await until(() => pipeline.statistics.observations > 0 || compressed.problems.length > 0);
    await pipeline.idle();
    expect(compressed.problems).toEqual([]);
    expect(compressed.chunks).toHaveLength(1);
    expect(compressed.chunks).toEqual(raw.chunks);
  });

  test('gives_the_same_chunk_for_the_same_observation_whatever_came_before', async () => {
    const [long, short] = [new Robot(policy), new Robot(policy)];
    for (let i = 0n; i <= 4n; i++) await long.step(T0 + i * TICK);
    await short.step(T0 + 4n * TICK);
    expect(long.chunks.map(({ stamp }) => (stamp - T0) / TICK)).toEqual([0n, 2n, 4n]);
    expect(short.chunks).toEqual(long.chunks.slice(2));
    expect(long.chunks[0]!.values).not.toEqual(long.chunks[1]!.values);
    expect(long.commands.map(({ reason }) => reason)).toEqual(['step', 'step', 'step', 'step', 'step']);
    expect(long.commands[3]!.values).toEqual(long.chunks[1]!.values.slice(7, 14));
  });

  test('events_are_handled_during_an_inference_and_the_stop_action_does_not_wait_for_it', async () => {
    const robot = new Robot(policy, { lockstep: false, mode: 'async' });
    const { pipeline } = robot;
    robot.offer(T0);
    await until(() => pipeline.statistics.observations > 0);
    pipeline.tick(T0, 0n);
    pipeline.tick(T0 + 1n, 0n);
    pipeline.deactivate(T0 + 2n);
    expect(robot.commands.map(({ reason }) => reason)).toEqual(['stop']);
    expect([...robot.commands[0]!.values]).toEqual(golden.state_raw);
    await pipeline.idle();
    expect(robot.chunks).toEqual([]);
    expect(pipeline.statistics).toMatchObject({ observations: 1, outdated: 1, chunks: 0 });
  });
});
