import { Pi05Error } from '../errors.js';
import type { Issue } from '../replay/issue-summary.js';
import type { ReplaySummary } from '../replay/summary.js';
import type { ReplayProgress } from '../replay/runner.js';

/** Characters. */
const BAR_LENGTH = 24;

/** The progress line of a replay. */
export function progressLine({ seconds, total, rate, chunks, refusals }: ReplayProgress): string {
  const share = total === undefined || total <= 0 ? undefined : Math.min(1, seconds / total);
  const done = Math.round((share ?? 0) * BAR_LENGTH);
  const bar = share === undefined ? '' : `[${'='.repeat(done)}${' '.repeat(BAR_LENGTH - done)}] `;
  const duration = total === undefined ? '' : ` of ${total.toFixed(1)}`;
  return `${bar}${seconds.toFixed(1)}${duration} s  ${rate.toFixed(1)}x  chunks ${chunks}  refused ${refusals}`;
}

/** The summary that is printed at the end. */
export function describe(
  summary: ReplaySummary,
  refusals: readonly Issue[],
  faults: readonly Issue[],
  files: readonly (string | undefined)[],
): string {
  const { bag, seconds, damage, notes, observations, chunks, commands, backend, expect, evaluation } = summary;
  const withoutEngine = seconds.bag / (seconds.wall - seconds.engine);
  const lines = [
    `${bag}: ${seconds.bag.toFixed(1)} s replayed in ${seconds.wall.toFixed(1)} s (${speed(seconds.bag / seconds.wall)}, ${speed(withoutEngine)} without the time spent waiting for the engine)`,
    ...(damage === null ? [] : [`  incomplete: ${damage}`]),
    ...notes.map((note) => `  ${note}`),
    `  observations ${observations}, chunks ${chunks} (${summary.outdated} too late), on ${backend}`,
    `  commands: ${commands.step} from chunks, ${commands.hold} hold, ${commands.stop} stop`,
    `  inference ${milliseconds(summary.inference_ms)}; latency ${milliseconds(summary.latency_ms)}`,
    `  ${seamText(summary.seams)}`,
    ...issues('refused', refusals),
    ...issues('fault', faults),
    ...evaluation.groups.flatMap(({ group, overall: { count, mae, rmse, max } }) =>
      mae === null || rmse === null || max === null
        ? []
        : [
            `  ${group} against the recorded actions: mean error ${precise(mae)}, root mean square ${precise(rmse)}, largest ${precise(max)} (${count} values)`,
          ],
    ),
    ...(evaluation.problem === null ? [] : [`  no evaluation: ${evaluation.problem}`]),
    ...(expect === undefined
      ? []
      : [
          `  ${expect.compared} chunks compared with ${expect.baseline}: ${expect.different} different, largest difference ${precise(expect.largest)}`,
        ]),
    ...files.filter((file) => file !== undefined).map((file) => `  written: ${file}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** Why a replay has failed. @param strict whether refusals, damage and a replay without chunks are failures too. */
export function failuresOf(
  summary: ReplaySummary,
  refusals: readonly Issue[],
  faults: readonly Issue[],
  strict: boolean,
): Pi05Error[] {
  const failures = faults
    .filter(({ code }) => code === 'CHUNK_NOT_FINITE')
    .map(({ code, message }): Pi05Error => new Pi05Error(code, message));
  const { bag, chunks, damage, expect } = summary;
  if (strict && damage !== null) failures.push(new Pi05Error('BAG_DATA', damage));
  if (strict) {
    for (const { code, count, seconds, message } of refusals) {
      const first = `the first at ${seconds.toFixed(3)} s: ${message}`;
      failures.push(
        new Pi05Error(
          'INPUT_REFUSED',
          `Expected no refusal, received ${code} ${count} ${count === 1 ? 'time' : 'times'}, ${first}`,
        ),
      );
    }
  }
  // A test without a single chunk tests nothing.
  if (strict && chunks === 0 && failures.length === 0) {
    failures.push(new Pi05Error('BAG_DATA', `Expected at least one chunk in ${bag}, received none and no refusal`));
  }
  if (expect?.difference != null) failures.push(new Pi05Error('CHUNKS_DIFFER', expect.difference));
  return failures;
}

/** Why a replay has failed `--max-seam`. @param limit of a jump. @param above the number of seams beyond it. */
export function seamFailures({ seams, bag }: ReplaySummary, limit: number, above: number): Pi05Error[] {
  const { count, jump, largest } = seams;
  // A test without a single seam tests nothing.
  if (count === 0)
    return [new Pi05Error('SEAM_JUMP', `Expected at least one seam between chunks in ${bag}, received none`)];
  if (above === 0 || jump.max === null || largest === null) return [];
  const where = `${precise(jump.max)} for ${largest.joint} at ${largest.seconds.toFixed(3)} s`;
  const sentence = `Expected no seam with a jump above ${limit}, received ${above} of ${count}, the largest ${where}`;
  return [new Pi05Error('SEAM_JUMP', sentence)];
}

function issues(word: string, list: readonly Issue[]): string[] {
  return list.map(({ code, count, seconds, message }) => {
    return `  ${word} ${count} × ${code}, the first at ${seconds.toFixed(3)} s: ${message}`;
  });
}

function seamText({ count, jump, jerk, idle_steps }: ReplaySummary['seams']): string {
  const jumps =
    jump.p95 === null || jump.max === null ? '' : `, jump p95 ${precise(jump.p95)}, largest ${precise(jump.max)}`;
  return `seams ${count}${jumps}; jerk RMS ${precise(jerk.rms)}, largest ${precise(jerk.max)}; idle steps ${idle_steps}`;
}

function milliseconds({ p50, p95, p99 }: ReplaySummary['latency_ms']): string {
  if (p50 === null || p95 === null || p99 === null) return 'none';
  return `p50 ${p50.toFixed(1)} p95 ${p95.toFixed(1)} p99 ${p99.toFixed(1)} ms`;
}

function speed(rate: number): string {
  return `${rate.toFixed(1)}x`;
}

function precise(value: number): string {
  return String(Number(value.toPrecision(4)));
}
