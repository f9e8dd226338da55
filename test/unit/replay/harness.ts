import { CdrWriter } from '@foxglove/cdr';
import { expect } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import type { Engine, InferRequest, InferResult, ModelInfo } from '../../../src/engine/engine.js';
import type { ActionChunk, Command, Observation } from '../../../src/frame/frame.js';
import type { PolicyLike } from '../../../src/pipeline/interfaces.js';
import type { Bag, BagMessage } from '../../../src/replay/bag/bag.js';
import { replayInputs } from '../../../src/replay/inputs.js';
import type { ReplayListener } from '../../../src/replay/listener.js';
import { replay, type ReplayOptions, type ReplayOutcome } from '../../../src/replay/runner.js';
import { header, MS, robot, SECOND, T0 } from '../pipeline/robot.js';

/** A replay of bags made by hand, with an engine whose answer shows which image it received. */

export const ROWS = 6;
export const PERIOD = 100n * MS;

/** 4x4 rgb8 of one shade, which identifies the stamp. */
export function imageMessage(stamp: bigint, shade: number): Uint8Array {
  const writer = header(stamp).uint32(4).uint32(4).string('rgb8').uint8(0).uint32(12);
  return writer.uint8Array(new Uint8Array(48).fill(shade), true).data;
}

export function jointMessage(stamp: bigint): Uint8Array {
  const writer = header(stamp).sequenceLength(2).string('a').string('b');
  return writer.float64Array([0, 0], true).sequenceLength(0).sequenceLength(0).data;
}

export function clockMessage(time: bigint): Uint8Array {
  return new CdrWriter().int32(Number(time / SECOND)).uint32(Number(time % SECOND)).data;
}

export function stringMessage(text: string): Uint8Array {
  return new CdrWriter().string(text).data;
}

export const TYPES: Readonly<Record<string, string>> = {
  '/exterior': 'sensor_msgs/msg/Image',
  '/wrist': 'sensor_msgs/msg/Image',
  '/joint_states': 'sensor_msgs/msg/JointState',
  '/clock': 'rosgraph_msgs/msg/Clock',
  '/prompt': 'std_msgs/msg/String',
};

export type Entry = readonly [topic: string, logTime: bigint, data: Uint8Array];

/** A bag whose messages share a buffer, as those of real bags may. */
export function bagOf(entries: readonly Entry[]): Bag {
  return {
    topics: new Map(entries.map(([topic]) => [topic, { type: TYPES[topic] ?? '', count: undefined }])),
    startTime: entries[0]?.[1],
    endTime: entries.at(-1)?.[1],
    damage: undefined,
    notes: [],
    async *messages(topics): AsyncGenerator<BagMessage> {
      const shared = new Uint8Array(4096);
      for (const [topic, logTime, data] of entries) {
        if (!topics.has(topic)) continue;
        shared.fill(0xff);
        shared.set(data);
        yield { topic, type: TYPES[topic] ?? '', logTime, data: shared.subarray(0, data.byteLength) };
        await Promise.resolve();
      }
    },
    close: () => Promise.resolve(),
  };
}

/** Everything every 20 ms; the shade counts up. */
export function recording(sets: number, base = T0): Entry[] {
  return Array.from({ length: sets }, (_, i): Entry[] => {
    const stamp = base + BigInt(i) * 20n * MS;
    return [
      ['/exterior', stamp + 1n * MS, imageMessage(stamp, i % 256)],
      ['/wrist', stamp + 2n * MS, imageMessage(stamp, (i + 128) % 256)],
      ['/joint_states', stamp + 3n * MS, jointMessage(stamp)],
    ];
  }).flat();
}

export const config: PolicyConfig = robot({
  cameras: robot().cameras.map((camera) => ({ ...camera, topic: `/${camera.name}` })),
  state: { ...robot().state, topic: '/joint_states' },
  promptTopic: '/prompt',
});

export class PlainPolicy implements PolicyLike {
  prepare({ views }: Observation): Pick<InferRequest, 'images' | 'tokens' | 'noise'> {
    return { images: views.map(({ frame }) => frame), tokens: Int32Array.of(2), noise: new Float32Array(1) };
  }
  previousActions(): Float32Array {
    return new Float32Array();
  }
  finish(actions: Float32Array, { stamp }: Observation): ActionChunk {
    const values = Float64Array.from({ length: ROWS * 2 }, () => actions[0]!);
    return { stamp, joints: ['a', 'b'], rows: ROWS, values, period: 0.1 };
  }
}

/** Takes `cycles` cycles of the event loop and returns the shade of the first image. */
export class ShadeEngine implements Engine {
  readonly info = { imageSize: 8 } as ModelInfo;
  requests = 0;
  constructor(
    readonly cycles: (request: number) => number,
    readonly fails: (request: number) => boolean = () => false,
  ) {}

  async infer({ images }: InferRequest): Promise<InferResult> {
    const request = this.requests++;
    const before = Uint8Array.from(images[0]!.data);
    for (let i = this.cycles(request); i > 0; i--) await new Promise((resolve) => setImmediate(resolve));
    if (this.fails(request)) throw new Error('out of order');
    expect(images[0]!.data).toEqual(before);
    return { actions: Float32Array.of(images[0]!.data[0]! / 1000), milliseconds: 7, trace: new Map() };
  }

  async close(): Promise<void> {}
}

export interface Run {
  readonly outcome: ReplayOutcome;
  readonly chunks: { readonly stamp: bigint; readonly arrivedAt: bigint; readonly value: number }[];
  readonly commands: Command[];
}

export async function run(
  entries: readonly Entry[],
  engine: Engine,
  changes: Partial<ReplayOptions> = {},
): Promise<Run> {
  const chunks: Run['chunks'] = [];
  const commands: Command[] = [];
  const listener: ReplayListener = {
    chunk: ({ stamp, values }, _, arrivedAt) => chunks.push({ stamp, arrivedAt, value: values[0]! }),
    command: (command) => commands.push(command),
  };
  const bag = bagOf(entries);
  const options = { config, simulated: false, latency: 0n, policy: new PlainPolicy(), engine, ...changes };
  const inputs = replayInputs(options.config, options.simulated, bag, 'the bag');
  const outcome = await replay({ bag, inputs, listeners: [listener], ...options });
  return { outcome, chunks, commands };
}
