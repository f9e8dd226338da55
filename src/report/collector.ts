import { commandQuantity, type PolicyConfig } from '../config/config.js';
import type { Pi05Error, Refusal, FaultCode } from '../errors.js';
import type { ActionChunk, Command, CommandReason, CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import { toSeconds } from '../time.js';
import type { CameraStrip, EventRow, Mark, ReportData, ShownChunk } from './data.js';
import { Samples, Series, TimeBuckets } from './downsample.js';
import { thumbnail } from './thumbnail.js';
import { ValueHistory } from './value-history.js';

/** What is kept at most; with three cameras and 14 joints the page stays below 5 MB. */
const FRAMES = 48;
const POINTS = 160_000;
const CHUNKS = 400;
const CHUNK_VALUES = 120_000;
const MARKS = 250;
const SENTENCE = 200;
const SAMPLES = 65_536;

/** Seconds of a slot at first. */
const FRAME_SLOT = 0.25;
const CHUNK_SLOT = 1e-3;
const MARK_SLOT = 0.05;

/** Gathers what the report shows while a bag is replayed, in memory that does not grow with its length. */
export class ReportCollector {
  readonly #cameras: ReadonlyMap<string, Strip>;
  readonly #joints: readonly Joint[];
  readonly #events = new Map<string, Row>();
  readonly #inferenceMs = new Samples(SAMPLES);
  readonly #latencyMs = new Samples(SAMPLES);
  readonly #commands: Record<CommandReason, number> = { step: 0, hold: 0, stop: 0 };
  #chunks: TimeBuckets<ShownChunk> | undefined;
  #chunkCount = 0;
  #start: bigint | undefined;
  #duration = 0;

  constructor(readonly config: PolicyConfig) {
    const { cameras, action, schedule, state } = config;
    this.#cameras = new Map(cameras.map(({ name, topic }) => [name, new Strip(name, topic)]));
    const oldest = cameras.reduce((age, { maxAge }) => (maxAge > age ? maxAge : age), state.maxAge);
    // Each joint has two lines, and each slot of a line two points.
    const slots = Math.floor(POINTS / (4 * action.joints.length));
    this.#joints = action.joints.map((joint) => ({
      name: joint.name,
      quantity: commandQuantity(joint),
      measured: new Series(slots),
      recorded: new Series(slots),
      positions: joint.integrated ? new ValueHistory(oldest + schedule.engineTimeout) : undefined,
    }));
  }

  image(camera: string, image: RawImage | CompressedImage, now: bigint): void {
    this.#cameras.get(camera)?.add(this.#arrive(now), image);
  }

  joints(reading: JointReading, now: bigint): void {
    const time = this.#arrive(now);
    for (const { name, quantity, measured, positions } of this.#joints) {
      const index = reading.name.indexOf(name);
      if (index < 0) continue;
      measured.add(time, reading[quantity][index]);
      positions?.add(now, reading.position[index] ?? NaN);
    }
  }

  action(action: RecordedCommand, now: bigint): void {
    const time = this.#arrive(now);
    for (const [index, name] of action.joints.entries()) {
      this.#joints.find((joint) => joint.name === name)?.recorded.add(time, action.values[index]);
    }
  }

  chunk(chunk: ActionChunk, timing: ChunkTimes, now: bigint): void {
    this.#arrive(now);
    this.#chunkCount++;
    this.#inferenceMs.add(timing.inferenceMs);
    this.#latencyMs.add(timing.latencyMs);
    const fitting = Math.floor(CHUNK_VALUES / (chunk.rows * chunk.joints.length));
    this.#chunks ??= new TimeBuckets<ShownChunk>(Math.min(CHUNKS, Math.max(1, fitting)), CHUNK_SLOT);
    const stamp = this.#seconds(chunk.stamp);
    if (this.#chunks.begins(stamp)) this.#chunks.add(stamp, this.#shown(chunk, stamp));
  }

  command({ reason }: Command, now: bigint): void {
    const time = this.#arrive(now);
    this.#commands[reason]++;
    if (reason !== 'step') this.#event(reason.toUpperCase(), 'command', time, `The robot is told to ${reason}`);
  }

  refusal(refusal: Refusal, now: bigint): void {
    this.#event(refusal.code, 'refusal', this.#arrive(now), refusal.message);
  }

  fault(fault: Pi05Error<FaultCode>, now: bigint): void {
    this.#event(fault.code, 'fault', this.#arrive(now), fault.message);
  }

  /** After the last event. */
  async data(): Promise<ReportData> {
    return {
      start: toSeconds(this.#start ?? 0n),
      duration: this.#duration,
      cameras: await Promise.all([...this.#cameras.values()].map((strip) => strip.shown())),
      joints: this.#joints.map(({ name, quantity, measured, recorded }) => ({
        name,
        quantity,
        measured: measured.points,
        recorded: recorded.points,
      })),
      chunks: this.#chunks?.items ?? [],
      chunkCount: this.#chunkCount,
      commands: { ...this.#commands },
      events: [...this.#events.values()].map((row) => row.shown()),
      inferenceMs: this.#inferenceMs.sorted,
      latencyMs: this.#latencyMs.sorted,
    };
  }

  /** Seconds of an event at `now` since the first one. */
  #arrive(now: bigint): number {
    this.#start ??= now;
    const time = this.#seconds(now);
    this.#duration = Math.max(this.#duration, time);
    return time;
  }

  #seconds(time: bigint): number {
    return toSeconds(time - (this.#start ?? time));
  }

  #event(code: string, kind: EventRow['kind'], time: number, text: string): void {
    let row = this.#events.get(code);
    if (row === undefined) this.#events.set(code, (row = new Row(code, kind, time)));
    row.add(time, text);
  }

  #shown(chunk: ActionChunk, stamp: number): ShownChunk {
    const values = this.#joints.map(({ positions }, column) => {
      const rows = Array.from({ length: chunk.rows }, (_, row) => chunk.values[row * chunk.joints.length + column]!);
      if (positions === undefined) return rows;
      let position = positions.at(chunk.stamp, 0n) ?? NaN;
      return rows.map((velocity) => (position += velocity * chunk.period));
    });
    return { stamp, period: chunk.period, values };
  }
}

/** A command that the robot received: one value for each of `joints`, in the output's units. */
interface RecordedCommand {
  readonly joints: readonly string[];
  readonly values: Float64Array;
}

interface ChunkTimes {
  readonly inferenceMs: number;
  /** From the observation's stamp to the chunk. */
  readonly latencyMs: number;
}

interface Joint {
  readonly name: string;
  readonly quantity: 'position' | 'velocity';
  readonly measured: Series;
  readonly recorded: Series;
  /** Measured ones, where velocities are to be added up. */
  readonly positions: ValueHistory | undefined;
}

class Strip {
  readonly #frames = new TimeBuckets<{ time: number; picture: Promise<string | undefined> }>(FRAMES, FRAME_SLOT);
  #messages = 0;

  constructor(
    private readonly name: string,
    private readonly topic: string,
  ) {}

  add(time: number, image: RawImage | CompressedImage): void {
    this.#messages++;
    if (this.#frames.begins(time)) this.#frames.add(time, { time, picture: thumbnail(image) });
  }

  async shown(): Promise<CameraStrip> {
    const frames = await Promise.all(
      this.#frames.items.map(async ({ time, picture }) => ({ time, source: await picture })),
    );
    return {
      name: this.name,
      topic: this.topic,
      messages: this.#messages,
      frames: frames.flatMap(({ time, source }) => (source === undefined ? [] : [{ time, source }])),
    };
  }
}

class Row {
  readonly #marks = new TimeBuckets<Mark>(MARKS, MARK_SLOT, (a, b) => ({ ...a, to: b.to, count: a.count + b.count }));
  #count = 0;
  #last: number;

  constructor(
    private readonly code: string,
    private readonly kind: EventRow['kind'],
    private readonly first: number,
  ) {
    this.#last = first;
  }

  add(time: number, text: string): void {
    this.#count++;
    this.#last = time;
    const sentence = text.length > SENTENCE ? `${text.slice(0, SENTENCE)} …` : text;
    this.#marks.add(time, { from: time, to: time, count: 1, text: sentence });
  }

  shown(): EventRow {
    const { code, kind, first } = this;
    return { code, kind, count: this.#count, first, last: this.#last, marks: this.#marks.items };
  }
}
