import { setFlagsFromString } from 'node:v8';
import type { PolicyConfig } from '../config/config.js';
import { configFromParameters } from '../config/parameters.js';
import { Pi05Error } from '../errors.js';
import { loadPolicy } from '../pipeline/load.js';
import { resolveTopic, withResolvedTopics } from '../messages/topics.js';
import { openBag } from '../replay/bag/bag.js';
import { IssueSummary } from '../replay/issue-summary.js';
import { Comparison, type ComparisonResult } from '../replay/comparison.js';
import { SeamSummary } from '../replay/seam-summary.js';
import { OpenLoopEvaluation } from '../replay/evaluation.js';
import { type ReplayInput, replayInputs } from '../replay/inputs.js';
import { discardUnfinished, AtomicFile } from '../replay/atomic-file.js';
import { BagOutput } from '../replay/output.js';
import { ReportCollector } from '../report/collector.js';
import { recordedRobotModel } from '../replay/robot-description.js';
import { withRobotLimits } from '../robot/limits.js';
import { createToolGuard } from '../schedule/tool-guard.js';
import { replay, type ReplayOutcome, type ReplayProgress } from '../replay/runner.js';
import { replaySummary } from '../replay/summary.js';
import { renderReport } from '../report/report.js';
import { parseOffset, withOffsets } from '../replay/stamps.js';
import { toSeconds } from '../time.js';
import { parse, required, usage, warn } from './arguments.js';
import { givenParameters } from './parameter-overrides.js';
import { Progress } from './progress.js';
import { checkFiles, discardOnSignal } from './replay-files.js';
import { describe, failuresOf, progressLine, seamFailures } from './replay-output.js';

export const DEFAULT_LATENCY_MS = 0;
export const DEFAULT_TOLERANCE = 0;

const HELP = `Usage: pi05 replay BAG --params FILE [options]

Runs the policy on a recorded bag, with the code of the node. BAG is an MCAP or SQLite file, or a
directory that rosbag2 recorded. On one backend the same bag and parameters always give the same
chunks, on a slow machine too: the replay waits for the engine and the image decoders.

  --params FILE       the node's parameter file
  -p NAME:=VALUE      a parameter that overrides the file's; may be repeated
  --namespace NS      the namespace of the node, for relative topic names
  --latency-ms MS     bag time from the start of an inference to its chunk; ${DEFAULT_LATENCY_MS} by default. In lock-step it
                      sets schedule.injected_delay instead
  --out OUT.mcap      write the chunks and commands that the node would publish
  --json FILE         write counts, times and the open-loop evaluation as JSON; - is stdout
  --report FILE.html  write a page with charts of the same
  --expect BAG.mcap   compare the chunks with those of an earlier --out, and fail where they differ
  --tolerance X       the largest difference that --expect allows, in the joint's unit; ${DEFAULT_TOLERANCE} by default
  --max-seam X        fail if a seam between two chunks is larger: the jump from the last command to the
                      next step, relative to what one control period allows (1)
  --by-stamps         the time of a message is its header stamp instead of the time of recording
  --stamp-offset T:=S add S seconds to the header stamps of topic T; may be repeated
  --strict            fail if a message was refused, part of the bag was not readable, or no chunk was made

Time: the current time is the time at which each message was recorded, and control ticks follow at
control_rate from the first message. With use_sim_time it is the newest time on the bag's /clock, as
in the node, and messages before the first /clock are ignored. With schedule.lockstep each new time
on /clock is one tick, which waits for the messages with that stamp.

Stamps: where the stamps of a topic are too far from the time of recording, the run says so at its
end. --by-stamps replays a bag that was played and recorded again; --stamp-offset one whose computers
had different clocks. Messages recorded at time 0 are left out.

Recorded actions are the bag's messages on the policy's output topics; the evaluation compares each
chunk with them. Exit status: 0 done; 1 a difference from --expect, a failure of --strict or --max-seam,
or a failed engine; 2 wrong usage, configuration, checkpoint or bag.
`;

export async function run(argv: string[]): Promise<number> {
  const removeHandlers = discardOnSignal();
  try {
    return await runReplay(argv);
  } finally {
    removeHandlers();
    discardUnfinished();
  }
}

async function runReplay(argv: string[]): Promise<number> {
  const { values, positionals } = parse(
    'replay',
    argv,
    {
      params: { type: 'string' },
      param: { type: 'string', short: 'p', multiple: true, default: [] },
      namespace: { type: 'string', default: '' },
      'latency-ms': { type: 'string', default: String(DEFAULT_LATENCY_MS) },
      out: { type: 'string' },
      json: { type: 'string' },
      report: { type: 'string' },
      expect: { type: 'string' },
      tolerance: { type: 'string' },
      'max-seam': { type: 'string' },
      'by-stamps': { type: 'boolean', default: false },
      'stamp-offset': { type: 'string', multiple: true, default: [] },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
    1,
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  // Decoded images are large and short-lived. With V8's default there is a full garbage collection for every 17 of them,
  // which takes a third of the time of a bag with JPEG images; this setting needs no more memory.
  setFlagsFromString('--heap-growing-percent=500');
  const [bagPath] = positionals;
  if (bagPath === undefined) throw usage('replay', 'Expected a bag, received none');
  const params = required('replay', 'params', values.params);
  const latency = BigInt(Math.round(nonNegative('latency-ms', values['latency-ms']) * 1e6));
  if (values.tolerance !== undefined && values.expect === undefined) {
    throw usage('replay', 'Expected --tolerance together with --expect, received it alone');
  }
  const tolerance = nonNegative('tolerance', values.tolerance ?? String(DEFAULT_TOLERANCE));
  const maxSeam = values['max-seam'] === undefined ? undefined : nonNegative('max-seam', values['max-seam']);
  const { expect, out, report, json, strict } = values;
  const file = json === '-' ? undefined : json;
  checkFiles([bagPath, params, expect], { '--out': out, '--json': file, '--report': report });
  const { config: given, simulated } = configuration(params, values.param, values.namespace, latency);
  const bag = await openBag(bagPath);
  const model = await recordedRobotModel(given, bag);
  const { config, disagreement } = withRobotLimits(given, model);
  if (disagreement !== undefined) warn(disagreement);
  const tool = createToolGuard(config, model);
  const byStamps = values['by-stamps'];
  if (byStamps && simulated) {
    throw usage(
      'replay',
      'Expected --by-stamps or use_sim_time, received both: with use_sim_time the time is that of /clock',
    );
  }
  const plain = replayInputs(config, simulated, bag, bagPath);
  const inputs = withOffsets(plain, stampOffsets(values['stamp-offset'], values.namespace, plain));
  const expected = expect === undefined ? undefined : await Comparison.open(expect, config, tolerance);
  const output = out === undefined ? undefined : await BagOutput.create(out, config);
  const jsonFile = file === undefined ? undefined : await AtomicFile.create(file);
  const reportFile = report === undefined ? undefined : await AtomicFile.create(report);
  const { engine, policy } = await loadPolicy(config, false);
  const issues = new IssueSummary();
  const evaluation = new OpenLoopEvaluation(config);
  const seams = new SeamSummary();
  const collector = report === undefined ? undefined : new ReportCollector(config);
  const listeners = [issues, evaluation, seams, collector, output, expected].filter(
    (listener) => listener !== undefined,
  );
  const progress = new Progress(process.stderr);
  const show = (state: ReplayProgress): void => progress.show(progressLine(state));
  let outcome: ReplayOutcome;
  let comparison: ComparisonResult | undefined;
  try {
    outcome = await replay({
      ...{ bag, inputs, config, simulated, byStamps, engine, policy, tool, listeners, progress: show },
      latency: config.schedule.lockstep ? 0n : latency,
    });
    if (outcome.failure === undefined) comparison = await expected?.finish();
    await output?.close();
  } finally {
    progress.end();
    await expected?.close();
    await Promise.all([engine.close(), policy.close()]);
    await bag.close();
  }

  const result = evaluation.result();
  const quality = seams.result(outcome.statistics.motion);
  const summary = replaySummary({ bag: bagPath, params }, engine.info, bag, outcome, quality, result, comparison);
  if (collector !== undefined && reportFile !== undefined) {
    const { damage } = outcome;
    const { notes } = summary;
    const checkpoint = `${config.checkpoint}, on ${engine.info.backend}`;
    const about = { bag: bagPath, params, checkpoint, observations: summary.observations, damage, notes };
    await reportFile.write(renderReport(config, await collector.data(), result, quality, about));
    await reportFile.finish();
  }
  await jsonFile?.write(`${JSON.stringify(summary, undefined, 2)}\n`);
  await jsonFile?.finish();
  const { refusals, faults } = issues;
  if (json === '-') process.stdout.write(`${JSON.stringify(summary)}\n`);
  else process.stdout.write(describe(summary, refusals, faults, [out, json, report]));
  if (outcome.failure !== undefined) throw outcome.failure;
  const failures = failuresOf(summary, refusals, faults, strict);
  if (maxSeam !== undefined) failures.push(...seamFailures(summary, maxSeam, seams.countAbove(maxSeam)));
  for (const failure of failures) process.stderr.write(`${failure.toString()}\n`);
  return failures.length > 0 ? 1 : 0;
}

/**
 * The configuration of a node in that namespace, with resolved topics, and whether it takes its time from `/clock`. In
 * lock-step the clock stops during an inference, so its latency is a delay that the pipeline injects, as in the node.
 * @param latency ns.
 */
function configuration(
  params: string,
  overrides: readonly string[],
  namespace: string,
  latency: bigint,
): { config: PolicyConfig; simulated: boolean } {
  const { values, where } = givenParameters('replay', params, overrides);
  const simulated = values.get('use_sim_time') ?? false;
  if (typeof simulated !== 'boolean') {
    throw new Pi05Error('CONFIG_TYPE', 'Expected true or false for use_sim_time, received neither', 'use_sim_time');
  }
  if (values.get('schedule.lockstep') === true && latency > 0n) {
    values.set('schedule.injected_delay', toSeconds(latency));
  }
  const config = configFromParameters(values, where, warn);
  const resolved = withResolvedTopics(config, (topic) => resolveTopic(topic, namespace));
  return { config: withoutFollowingErrors(resolved), simulated };
}

/** The recorded arm did not follow the commands of the replay, so a distance from them is no fault. */
function withoutFollowingErrors(config: PolicyConfig): PolicyConfig {
  const joints = config.action.joints.map((joint) => ({ ...joint, maxFollowingError: Infinity }));
  return { ...config, action: { ...config.action, joints } };
}

/** @param inputs the topics that are read. @throws Pi05Error USAGE for a topic without stamps among them. */
function stampOffsets(
  texts: readonly string[],
  namespace: string,
  inputs: ReadonlyMap<string, ReplayInput>,
): Map<string, bigint> {
  const stamped = [...inputs.values()].filter(({ kind }) => STAMPED.has(kind)).map(({ topic }) => topic);
  const offsets = new Map<string, bigint>();
  for (const text of texts) {
    const parsed = parseOffset(text);
    if (parsed === undefined) throw usage('replay', `Expected --stamp-offset TOPIC:=SECONDS, received ${text}`);
    const topic = resolveTopic(parsed.topic, namespace);
    if (!stamped.includes(topic)) {
      throw usage('replay', `Expected --stamp-offset for one of ${stamped.join(', ')}, received ${topic}`);
    }
    offsets.set(topic, parsed.offset);
  }
  return offsets;
}

/** The kinds of messages whose header stamps are used. */
const STAMPED: ReadonlySet<ReplayInput['kind']> = new Set(['image', 'compressed_image', 'joint_state']);

function nonNegative(flag: string, value: string): number {
  const number = value.trim() === '' ? NaN : Number(value);
  if (!Number.isFinite(number) || number < 0) {
    throw usage('replay', `Expected --${flag} as a number of at least 0, received ${value}`);
  }
  return number;
}
