/**
 * Computes the chunk of one observation with policy and engine only, without ROS and pipeline.
 * Usage: node reference.mjs PARAMETER_FILE < observation.json
 * The observation: { stamp: "ns", prompt, state: [model units], views: { camera: { width, height, pixels: base64 rgb8 } } }
 * Prints { joints, rows, values, period }.
 */
import { readFileSync } from 'node:fs';

import { configFromFile } from '../../dist/config/file.js';
import { openEngine } from '../../dist/engine/native.js';
import { Policy } from '../../dist/policy/policy.js';

const config = configFromFile(process.argv[2]);
const input = JSON.parse(readFileSync(0, 'utf8'));
const engine = await openEngine({ checkpoint: config.checkpoint, backend: 'cpu', threads: 1 });
const policy = await Policy.load(config.checkpoint, engine.info, config);
const stamp = BigInt(input.stamp);
const views = config.cameras.map(({ name, slot }) => {
  const { width, height, pixels } = input.views[name];
  const frame = { stamp, width, height, step: width * 3, encoding: 'rgb8', data: Buffer.from(pixels, 'base64') };
  return { camera: name, slot, frame };
});
const observation = { stamp, views, state: Float64Array.from(input.state), prompt: input.prompt };
const { actions } = await engine.infer(policy.prepare(observation));
const { joints, rows, values, period } = policy.finish(actions, observation);
process.stdout.write(JSON.stringify({ joints, rows, values: [...values], period }));
await engine.close();
