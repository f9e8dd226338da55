import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, InferRequest, ModelInfo } from '../engine/engine.js';
import { type EngineOptions, openEngine, writeRandomWeights } from '../engine/native.js';
import { percentile } from '../statistics.js';
import { oneOf, parse, usage, integer } from './arguments.js';

const HELP = `Usage: pi05 bench [options]

Measures how long an inference takes on this machine, from 640x480 rgb8 images in JavaScript to
the action chunk in JavaScript, one request at a time. Random weights give the same times as
trained ones, because the time depends on shapes, not on values. Other processes change the result:
CPU inference runs at low priority.

  --checkpoint DIR  by default a random checkpoint of size demo
  --backend NAME    auto (default), cpu, cuda
  --precision NAME  bf16 (default), fp8: of the matrix products on a GPU
  --threads N       CPU threads; 0 (default) = one per core
  --cameras N       images per request; 2 by default
  --tokens N        prompt tokens per request; 60 by default, at most the checkpoint's limit
  --steps N         flow steps; by default as many as the checkpoint says
  --warmup N        requests before the measured ones; 3 by default
  --requests N      measured requests; 20 by default
  --json            print the results as JSON
`;

/** Milliseconds over all measured requests; percentiles by nearest rank. */
export interface Distribution {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly least: number;
  readonly most: number;
}

export async function run(argv: string[]): Promise<number> {
  const { values } = parse('bench', argv, {
    checkpoint: { type: 'string' },
    backend: { type: 'string', default: 'auto' },
    precision: { type: 'string', default: 'bf16' },
    threads: { type: 'string', default: '0' },
    cameras: { type: 'string', default: '2' },
    tokens: { type: 'string', default: '60' },
    steps: { type: 'string' },
    warmup: { type: 'string', default: '3' },
    requests: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const backend = oneOf('bench', 'backend', values.backend, ['auto', 'cpu', 'cuda']);
  const precision = oneOf('bench', 'precision', values.precision, ['bf16', 'fp8']);
  const threads = integer('bench', 'threads', values.threads, 0);
  const steps = values.steps === undefined ? undefined : integer('bench', 'steps', values.steps, 1);
  const cameras = integer('bench', 'cameras', values.cameras, 1);
  const tokens = integer('bench', 'tokens', values.tokens, 1);
  const warmup = integer('bench', 'warmup', values.warmup, 0);
  const requests = integer('bench', 'requests', values.requests, 1);

  const started = performance.now();
  const engine = await open(values.checkpoint, { backend, precision, threads });
  const loadMs = performance.now() - started;
  try {
    const { info } = engine;
    const request = { ...makeRequest(info, cameras, tokens), ...(steps === undefined ? {} : { steps }) };
    await measure(engine, request, warmup);
    const load = loadavg()[0];
    const times = await measure(engine, request, requests);
    const inference = distribution(times.map(([total]) => total));
    const native = distribution(times.map(([, inNative]) => inNative));
    const report = {
      checkpoint: values.checkpoint ?? 'random, demo size',
      backend: info.backend,
      precision: info.backend === 'cuda' ? precision : undefined,
      threads: info.backend === 'cpu' ? threads || availableParallelism() : undefined,
      cpu: cpus()[0]?.model,
      load_average: load,
      parameters: info.parameters,
      cameras,
      tokens,
      steps: steps ?? info.flowSteps,
      horizon: info.horizon,
      warmup,
      requests,
      load_ms: loadMs,
      inference_ms: inference,
      native_ms: native,
    };
    process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : describe(report));
  } finally {
    await engine.close();
  }
  return 0;
}

async function open(checkpoint: string | undefined, options: Omit<EngineOptions, 'checkpoint'>): Promise<Engine> {
  if (checkpoint !== undefined) return openEngine({ checkpoint, ...options });
  const directory = join(mkdtempSync(join(tmpdir(), 'pi05-bench-')), 'demo');
  try {
    mkdirSync(directory);
    await writeRandomWeights(directory, 'demo', 0n);
    return await openEngine({ checkpoint: directory, ...options });
  } finally {
    rmSync(join(directory, '..'), { recursive: true });
  }
}

/** A request of the given shapes with arbitrary values. @throws Pi05Error USAGE where the checkpoint allows fewer. */
function makeRequest(info: ModelInfo, cameras: number, tokens: number): InferRequest {
  if (cameras > info.slots) throw usage('bench', `Expected --cameras of at most ${info.slots}, received ${cameras}`);
  if (tokens > info.maxTokens) {
    throw usage('bench', `Expected --tokens of at most ${info.maxTokens}, received ${tokens}`);
  }
  const [width, height] = [640, 480];
  const pixels = (camera: number): Uint8Array =>
    Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 31 + (i >> 9) * 17 + camera * 101) & 255);
  return {
    images: Array.from({ length: info.slots }, (_, slot) =>
      slot < cameras ? { width, height, step: width * 3, encoding: 'rgb8', data: pixels(slot) } : undefined,
    ),
    tokens: Int32Array.from({ length: tokens }, (_, i) => (2 + i * 7) % info.vocab),
    noise: Float32Array.from({ length: info.horizon * info.actionDim }, (_, i) => Math.sin(i * 12.9898) * 1.4),
  };
}

/** For each request the total time and the part in native code, ms. */
async function measure(engine: Engine, request: InferRequest, count: number): Promise<[number, number][]> {
  const times: [number, number][] = [];
  while (times.length < count) {
    const start = performance.now();
    const { milliseconds } = await engine.infer(request);
    times.push([performance.now() - start, milliseconds]);
  }
  return times;
}

/** `times` has at least one value. */
export function distribution(times: readonly number[]): Distribution {
  const sorted = times.toSorted((a, b) => a - b);
  const rank = (share: number): number => percentile(sorted, share) ?? NaN;
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  return { mean, p50: rank(0.5), p95: rank(0.95), p99: rank(0.99), least: rank(0), most: rank(1) };
}

function describe(
  report: Record<string, unknown> & { readonly inference_ms: Distribution; readonly native_ms: Distribution },
): string {
  const { inference_ms: inference, native_ms: native, load_ms: load, ...settings } = report;
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name.replaceAll('_', ' ').padEnd(14)}${String(value)}`,
  );
  const row = (times: Distribution): string =>
    Object.entries(times)
      .map(([name, ms]: [string, number]) => `${name} ${ms.toFixed(2)}`)
      .join('  ');
  const head = `${lines.join('\n')}\nload          ${Number(load).toFixed(0)} ms`;
  return `${head}\ninference     ${row(inference)} ms\nin native     ${row(native)} ms\n`;
}
