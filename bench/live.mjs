/**
 * Measures the live node over real DDS: two 640×480 rgb8 cameras with equal stamps, joint states, an inference at every
 * control tick. Sensor-to-action latency is the time from the newest stamp of an observation, which is the stamp of its
 * chunk, to the arrival of the chunk in this process, an independent subscriber.
 *
 *   . .pi05/ros.env && node bench/live.mjs --checkpoint DIR [--backend cuda] [--rate 50] [--seconds 60] [--json FILE]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { CdrReader, CdrWriter } from '@foxglove/cdr';
import { packageRoot as root } from '../dist/package-root.js';
import { percentile } from '../dist/statistics.js';
import { fromRosTime, toRosTime } from '../dist/time.js';

process.env.FASTRTPS_DEFAULT_PROFILES_FILE ??= join(root, 'configs', 'fastdds.xml');
process.env.FASTDDS_DEFAULT_PROFILES_FILE ??= join(root, 'configs', 'fastdds3.xml');
const { default: rclnodejs } = await import('rclnodejs');

const JOINTS = [1, 2, 3, 4, 5, 6, 7].map((i) => `panda_joint${i}`).concat('panda_finger_joint1');
const HOME = [0, -0.785, 0, -2.356, 0, 1.571, 0.785, 0.02];
const JOINT_RATE = 200;

const { values: options } = parseArgs({
  options: {
    checkpoint: { type: 'string' },
    backend: { type: 'string', default: 'auto' },
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '60' },
    json: { type: 'string' },
  },
});
if (options.checkpoint === undefined) throw new Error('Expected --checkpoint DIR');
const rate = Number(options.rate);
const seconds = Number(options.seconds);

/** Added to the monotonic clock, gives nanoseconds since 1970. */
const clockOffset =
  BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n - process.hrtime.bigint();
const now = () => clockOffset + process.hrtime.bigint();

function header(writer, stamp, frame) {
  const { sec, nanosec } = toRosTime(stamp);
  writer.int32(sec);
  writer.uint32(nanosec);
  writer.string(frame);
}

/** A serialised sensor_msgs/Image; its stamp, bytes 4 to 11, is set for each publication. */
function image(frame, seed) {
  const pixels = new Uint8Array(640 * 480 * 3);
  for (let i = 0, state = seed; i < pixels.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    pixels[i] = state >>> 24;
  }
  const writer = new CdrWriter({ size: pixels.length + 256 });
  header(writer, 0n, frame);
  writer.uint32(480);
  writer.uint32(640);
  writer.string('rgb8');
  writer.uint8(0);
  writer.uint32(1920);
  writer.uint8Array(pixels, true);
  return Buffer.from(writer.data);
}

function stamped(message, stamp) {
  const { sec, nanosec } = toRosTime(stamp);
  message.writeInt32LE(sec, 4);
  message.writeUInt32LE(nanosec, 8);
  return message;
}

function joints(stamp) {
  const writer = new CdrWriter({ size: 1024 });
  header(writer, stamp, '');
  writer.sequenceLength(JOINTS.length);
  for (const joint of JOINTS) writer.string(joint);
  writer.float64Array(HOME, true);
  writer.sequenceLength(0);
  writer.sequenceLength(0);
  return Buffer.from(writer.data);
}

/** Calls at a fixed rate of the monotonic clock, without drift. */
function every(hertz, call) {
  let due = performance.now();
  let timer;
  const next = () => {
    call();
    due = Math.max(due + 1000 / hertz, performance.now() - 1000 / hertz);
    timer = setTimeout(next, Math.max(0, due - performance.now()));
  };
  timer = setTimeout(next, 0);
  return () => clearTimeout(timer);
}

function distribution(samples) {
  const sorted = samples.toSorted((a, b) => a - b);
  const rounded = (p) => Number((percentile(sorted, p) ?? NaN).toFixed(3));
  return { p50: rounded(0.5), p95: rounded(0.95), p99: rounded(0.99), max: rounded(1) };
}

const parameters = {
  checkpoint: options.checkpoint,
  backend: options.backend,
  asset_id: "''",
  prompt: 'pick up the red block and put it into the bowl on the left',
  control_rate: rate.toFixed(1),
  'schedule.replan_steps': 1,
};
const overrides = Object.entries(parameters).flatMap(([name, value]) => ['-p', `${name}:=${value}`]);
const child = spawn(
  join(root, 'bin', 'pi05'),
  ['node', '--ros-args', '--params-file', join(root, 'configs', 'pi05_droid.yaml'), ...overrides],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
const ended = once(child, 'exit');

await rclnodejs.init();
const node = rclnodejs.createNode('live_bench');
const bestEffort = new rclnodejs.QoS();
bestEffort.reliability = rclnodejs.QoS.ReliabilityPolicy.RMW_QOS_POLICY_RELIABILITY_BEST_EFFORT;
bestEffort.history = rclnodejs.QoS.HistoryPolicy.RMW_QOS_POLICY_HISTORY_KEEP_LAST;
bestEffort.depth = 5;
const cameras = ['exterior_camera', 'wrist_camera'].map((name, seed) => ({
  publisher: node.createPublisher('sensor_msgs/msg/Image', `${name}/image_raw`, { qos: bestEffort }),
  message: image(name, seed + 1),
}));
const state = node.createPublisher('sensor_msgs/msg/JointState', 'joint_states', { qos: bestEffort });

const chunks = new Map(); // from stamp to time of arrival
node.createSubscription('trajectory_msgs/msg/JointTrajectory', 'policy_node/chunk', { isRaw: true }, (cdr) => {
  const arrived = now();
  const reader = new CdrReader(cdr);
  const stamp = fromRosTime({ sec: reader.int32(), nanosec: reader.uint32() });
  chunks.set(stamp, arrived);
});
const diagnostics = {};
node.createSubscription('diagnostic_msgs/msg/DiagnosticArray', '/diagnostics', (message) => {
  for (const status of message.status)
    for (const { key, value } of status.values) diagnostics[`${status.name.split(': ').at(-1)}.${key}`] = value;
});
node.spin();

const sets = []; // stamps of the published pairs of images
const stopJoints = every(JOINT_RATE, () => state.publish(joints(now())));
const stopCameras = every(rate, () => {
  const stamp = now();
  sets.push(stamp);
  for (const { publisher, message } of cameras) publisher.publish(stamped(message, stamp));
});

const stop = async (status) => {
  stopCameras();
  stopJoints();
  child.kill('SIGINT');
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 10_000))]);
  rclnodejs.shutdown();
  process.exit(status);
};
void ended.then(([code]) => {
  if (!finished) {
    process.stderr.write(`The node exited with status ${code}\n`);
    rclnodejs.shutdown();
    process.exit(1);
  }
});
let finished = false;

// Loading, preparing and warm-up are not measured.
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
for (let i = 0; chunks.size < 2 * rate && i < 120; i++) await wait(1000);
const begin = sets.at(-1);
await wait(seconds * 1000);
const end = sets.at(-2);
await wait(200);
finished = true;

const latency = [...chunks].filter(([stamp]) => stamp > begin && stamp <= end);
const stamps = latency.map(([stamp]) => stamp).toSorted((a, b) => (a < b ? -1 : 1));
const wanted = sets.filter((stamp) => stamp > begin && stamp <= end);
// A chunk's stamp may be that of a joint state. A set of images was used if a chunk has its stamp or a later one before
// the next set's.
const skipped = wanted.filter(
  (stamp, i) => !stamps.some((chunkStamp) => chunkStamp >= stamp && chunkStamp < (wanted[i + 1] ?? end + 1n)),
).length;
const report = {
  rate,
  seconds,
  sets: wanted.length,
  skipped,
  chunks: latency.length,
  latency_ms: distribution(latency.map(([stamp, arrived]) => Number(arrived - stamp) / 1e6)),
  node: Object.fromEntries(
    Object.entries(diagnostics).filter(([key]) => /ms_p|refused|backend|fault|observations|chunks/.test(key)),
  ),
  device: readFileSync('/proc/cpuinfo', 'utf8').match(/model name\s*: (.*)/)?.[1],
};
process.stdout.write(`${JSON.stringify(report, undefined, 1)}\n`);
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report)}\n`);
await stop(latency.length > 0 ? 0 : 1);
