/**
 * The chunk of one observation, computed by policy and engine alone: no ROS, no pipeline.
 * Usage: node reference.mjs PARAMETER_FILE < observation.json
 * The observation: { stamp: "ns", prompt, state: [model units], views: { camera: { width, height, pixels: base64 rgb8 } } }
 * Prints { joints, rows, values, period }.
 */
import { readFileSync } from 'node:fs';

import { configFromFile } from '../../dist/config/file.js';
import { openEngine } from '../../dist/engine/native.js';
import { Policy } from '../../dist/policy/policy.js';

const config = configFromFile(process.argv[2]);
const given = JSON.parse(readFileSync(0, 'utf8'));
const engine = await openEngine({ checkpoint: config.checkpoint, backend: 'cpu', threads: 1 });
const policy = await Policy.load(config.checkpoint, engine.info, config);
const stamp = BigInt(given.stamp);
const views = config.cameras.map(({ name, slot }) => {
  const { width, height, pixels } = given.views[name];
  const frame = { stamp, width, height, step: width * 3, encoding: 'rgb8', data: Buffer.from(pixels, 'base64') };
  return { camera: name, slot, frame };
});
const observation = { stamp, views, state: Float64Array.from(given.state), prompt: given.prompt };
const { actions } = await engine.infer(policy.prepare(observation));
const { joints, rows, values, period } = policy.finish(actions, observation);
process.stdout.write(JSON.stringify({ joints, rows, values: [...values], period }));
await engine.close();
