import { commandQuantity, type ActionJoint, type PolicyConfig } from '../config/config.js';
import type { ActionChunk, Command, CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import type { ChunkTiming } from '../pipeline/interfaces.js';
import type { ErrorSummary, Evaluation, GroupEvaluation } from '../report/data.js';
import { maxChunkAge, ValueHistory } from '../report/value-history.js';
import { toNanoseconds } from '../time.js';
import type { RecordedAction, ReplayListener } from './listener.js';

export const METHOD =
  'Row k of a chunk is compared with the recorded action nearest to stamp + k periods: the newest one at or before that ' +
  'time (zero-order hold), or the next one where that is nearer and at most half a period later. Nothing is interpolated; ' +
  'rows before the first recorded action or after the end of the bag are left out. Velocities that are sent as positions ' +
  'are integrated from the recorded position one period before the chunk.';

/** Maximum number of chunks whose last row the bag has not reached; many more than can overlap. */
const MAX_PENDING = 256;

/**
 * Compares predicted chunks with the recorded actions while the replay runs, as `METHOD` describes. Memory does not grow with
 * the length of the bag.
 */
export class OpenLoopEvaluation implements ReplayListener {
  readonly #joints: readonly JointErrors[];
  readonly #config: PolicyConfig;
  #pending: Pending[] = [];
  /** Up to this time (inclusive) no row can be compared; undefined where no chunk is pending. */
  #due: bigint | undefined;
  #latest: bigint | undefined;
  #chunks = 0;
  #actions = 0;
  #uncompared = 0;

  constructor(config: PolicyConfig) {
    this.#config = config;
    const memory = maxChunkAge(config) + BigInt(Math.round(2e9 / config.controlRate));
    this.#joints = config.action.joints.map((joint) => new JointErrors(joint, memory));
  }

  image(_camera: string, _image: RawImage | CompressedImage, now: bigint): void {
    this.#advance(now);
  }

  joints(_reading: JointReading, now: bigint): void {
    this.#advance(now);
  }

  command(_command: Command, now: bigint): void {
    this.#advance(now);
  }

  action(action: RecordedAction, now: bigint): void {
    // Rows that this action cannot affect are compared before older actions are dropped.
    this.#advance(now);
    this.#actions++;
    for (const [index, name] of action.joints.entries()) {
      const value = action.values[index];
      const column = this.#joints.find(({ joint }) => joint.name === name);
      if (value !== undefined && Number.isFinite(value)) column?.recorded.add(action.time, value);
    }
  }

  chunk(chunk: ActionChunk, _timing: ChunkTiming, now: bigint): void {
    this.#chunks++;
    this.#pending.push({ chunk, row: 0, sums: undefined });
    if (this.#pending.length > MAX_PENDING) this.#drop(this.#pending.shift()!);
    this.#due = earliest(this.#due, finalTime(chunk, 0));
    this.#advance(now);
  }

  /** Call after the last event. */
  result(): Evaluation {
    const end = this.#latest;
    if (end !== undefined) for (const pending of this.#pending) this.#compare(pending, end);
    for (const pending of this.#pending) this.#drop(pending);
    this.#pending = [];
    const joints = this.#joints.map(({ joint, range, overall, steps }) => ({
      joint: joint.name,
      topic: this.#topicOf(joint.name) ?? null,
      quantity: commandQuantity(joint),
      gripper: joint.gripper,
      range: overall.count === 0 ? null : range,
      overall: overall.summary,
      steps: steps.map(({ summary }) => summary),
    }));
    return {
      method: METHOD,
      chunks: this.#chunks,
      actions: this.#actions,
      compared: this.#joints.reduce((count, { overall }) => count + overall.count, 0),
      uncompared: this.#uncompared,
      problem: this.#problem(),
      groups: (['position', 'velocity', 'gripper'] as const).flatMap((group) => this.#group(group)),
      joints,
    };
  }

  #group(group: GroupEvaluation['group']): GroupEvaluation[] {
    const members = this.#joints.filter(({ joint }) => (joint.gripper ? 'gripper' : commandQuantity(joint)) === group);
    if (members.length === 0) return [];
    const rows = Math.max(...members.map(({ steps }) => steps.length));
    const steps = Array.from({ length: rows }, (_, row) => total(members.flatMap(({ steps }) => steps[row] ?? [])));
    return [
      {
        group,
        joints: members.map(({ joint }) => joint.name),
        overall: total(members.map(({ overall }) => overall)).summary,
        steps: steps.map(({ summary }) => summary),
      },
    ];
  }

  #topicOf(joint: string): string | undefined {
    return this.#config.outputs.find(({ joints }) => joints.includes(joint))?.topic;
  }

  #problem(): string | null {
    const missing = this.#joints.filter(({ recorded }) => recorded.isEmpty).map(({ joint }) => joint.name);
    const topics = [...new Set(missing.map((joint) => this.#topicOf(joint) ?? `no output (${joint})`))].join(', ');
    if (missing.length > 0) {
      const received =
        missing.length === this.#joints.length
          ? 'none'
          : `none for ${missing.join(', ')}, which the evaluation leaves out`;
      return `Expected recorded actions on ${topics}, received ${received}`;
    }
    return this.#chunks === 0 ? 'Expected chunks to compare with the recorded actions, received none' : null;
  }

  /** Compares every row whose recorded counterpart is final. */
  #advance(now: bigint): void {
    if (this.#latest === undefined || now > this.#latest) this.#latest = now;
    if (this.#due === undefined || now <= this.#due) return;
    for (const pending of this.#pending) this.#compare(pending, now - halfPeriod(pending.chunk) - 1n);
    this.#pending = this.#pending.filter(({ chunk, row }) => row < chunk.rows);
    this.#due = this.#pending.map(({ chunk, row }) => finalTime(chunk, row)).reduce(earliest, undefined);
  }

  /** Compares the rows of times up to and including `until`. */
  #compare(pending: Pending, until: bigint): void {
    const { chunk } = pending;
    const tolerance = halfPeriod(chunk);
    for (; pending.row < chunk.rows && timeOf(chunk, pending.row) <= until; pending.row++) {
      pending.sums ??= this.#startPositions(chunk, tolerance);
      for (const [index, column] of this.#joints.entries()) {
        let predicted = chunk.values[pending.row * chunk.joints.length + index]!;
        if (column.joint.integrated) predicted = pending.sums[index]! += predicted * chunk.period;
        const recorded = column.recorded.valueAt(timeOf(chunk, pending.row), tolerance);
        if (recorded === undefined || Number.isNaN(predicted)) this.#uncompared++;
        else column.add(pending.row, predicted, recorded);
      }
    }
  }

  /** The recorded positions from which velocities are integrated; NaN where there are none. */
  #startPositions(chunk: ActionChunk, tolerance: bigint): number[] {
    const before = timeOf(chunk, -1);
    return this.#joints.map(({ recorded }) => recorded.valueAt(before, tolerance) ?? NaN);
  }

  #drop({ chunk, row }: Pending): void {
    this.#uncompared += (chunk.rows - row) * this.#joints.length;
  }
}

/** A chunk whose rows before `row` have been compared. */
interface Pending {
  readonly chunk: ActionChunk;
  row: number;
  /** The integrated velocities of each joint up to `row`. */
  sums: number[] | undefined;
}

/** The time of a chunk's row, ns. */
function timeOf(chunk: ActionChunk, row: number): bigint {
  return chunk.stamp + toNanoseconds(row * chunk.period);
}

/** The time after which a row's recorded counterpart is final, ns. */
function finalTime(chunk: ActionChunk, row: number): bigint {
  return timeOf(chunk, row) + halfPeriod(chunk);
}

function earliest(a: bigint | undefined, b: bigint): bigint {
  return a === undefined || b < a ? b : a;
}

function halfPeriod(chunk: ActionChunk): bigint {
  return BigInt(Math.round(chunk.period * 5e8));
}

/** Sums over errors predicted − recorded. */
class ErrorSums {
  count = 0;
  absolute = 0;
  squares = 0;
  max = 0;

  add(error: number): void {
    this.count++;
    this.absolute += Math.abs(error);
    this.squares += error * error;
    this.max = Math.max(this.max, Math.abs(error));
  }

  get summary(): ErrorSummary {
    const { count, absolute, squares, max } = this;
    if (count === 0) return { count, mae: null, rmse: null, max: null };
    return { count, mae: absolute / count, rmse: Math.sqrt(squares / count), max };
  }
}

function total(sums: readonly ErrorSums[]): ErrorSums {
  const all = new ErrorSums();
  for (const { count, absolute, squares, max } of sums) {
    all.count += count;
    all.absolute += absolute;
    all.squares += squares;
    all.max = Math.max(all.max, max);
  }
  return all;
}

/** The recorded actions and the errors of one action joint. */
class JointErrors {
  readonly recorded: ValueHistory;
  readonly overall = new ErrorSums();
  readonly steps: ErrorSums[] = [];
  range: readonly [number, number] = [Infinity, -Infinity];

  constructor(
    readonly joint: ActionJoint,
    memory: bigint,
  ) {
    this.recorded = new ValueHistory(memory);
  }

  add(step: number, predicted: number, recorded: number): void {
    while (this.steps.length <= step) this.steps.push(new ErrorSums());
    this.steps[step]!.add(predicted - recorded);
    this.overall.add(predicted - recorded);
    this.range = [Math.min(this.range[0], recorded), Math.max(this.range[1], recorded)];
  }
}
