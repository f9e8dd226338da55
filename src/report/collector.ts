import { commandQuantity, type PolicyConfig } from '../config/config.js';
import type { Pi05Error, Refusal, FaultCode } from '../errors.js';
import type { ActionChunk, Command, CommandReason, CompressedImage, JointReading, RawImage } from '../frame/frame.js';
import { toSeconds } from '../time.js';
import type { CameraStrip, EventRow, Mark, ReportData, ShownChunk } from './data.js';
import { Samples, Series, TimeBuckets } from './downsample.js';
import { thumbnail } from './thumbnail.js';
import { maxChunkAge, ValueHistory } from './value-history.js';

/** Limits of what is kept: with three cameras and 14 joints the page stays below 5 MB. */
const FRAMES = 48;
const POINTS = 160_000;
const CHUNKS = 400;
const CHUNK_VALUES = 120_000;
const MARKS = 250;
const SENTENCE = 200;
const SAMPLES = 65_536;

/** Initial lengths of the buckets, s. */
const FRAME_BUCKET = 0.25;
const CHUNK_BUCKET = 1e-3;
const MARK_BUCKET = 0.05;

/**
 * Collects the data of a report while the policy runs, in memory that does not grow with time. Every `now` is ns of one clock, and
 * no image is kept after a call.
 */
export class ReportCollector {
  readonly #cameras: ReadonlyMap<string, FrameStrip>;
  readonly #joints: readonly Joint[];
  readonly #events = new Map<string, EventCollector>();
  readonly #inferenceMs = new Samples(SAMPLES);
  readonly #latencyMs = new Samples(SAMPLES);
  readonly #commands: Record<CommandReason, number> = { step: 0, hold: 0, stop: 0 };
  #chunks: TimeBuckets<ShownChunk> | undefined;
  #chunkCount = 0;
  #start: bigint | undefined;
  #duration = 0;

  constructor(readonly config: PolicyConfig) {
    const { cameras, action } = config;
    this.#cameras = new Map(cameras.map(({ name, topic }) => [name, new FrameStrip(name, topic)]));
    // Each joint has two lines, and each bucket of a line up to two points.
    const buckets = Math.floor(POINTS / (4 * action.joints.length));
    this.#joints = action.joints.map((joint) => ({
      name: joint.name,
      quantity: commandQuantity(joint),
      measured: new Series(buckets),
      recorded: new Series(buckets),
      positions: joint.integrated ? new ValueHistory(maxChunkAge(config)) : undefined,
    }));
  }

  image(camera: string, image: RawImage | CompressedImage, now: bigint): void {
    this.#cameras.get(camera)?.add(this.#secondsOfEvent(now), image);
  }

  joints(reading: JointReading, now: bigint): void {
    const time = this.#secondsOfEvent(now);
    for (const { name, quantity, measured, positions } of this.#joints) {
      const index = reading.name.indexOf(name);
      if (index < 0) continue;
      measured.add(time, reading[quantity][index]);
      positions?.add(now, reading.position[index] ?? NaN);
    }
  }

  action(action: RecordedCommand, now: bigint): void {
    const time = this.#secondsOfEvent(now);
    for (const [index, name] of action.joints.entries()) {
      this.#joints.find((joint) => joint.name === name)?.recorded.add(time, action.values[index]);
    }
  }

  chunk(chunk: ActionChunk, timing: ChunkTimes, now: bigint): void {
    this.#secondsOfEvent(now);
    this.#chunkCount++;
    this.#inferenceMs.add(timing.inferenceMs);
    this.#latencyMs.add(timing.latencyMs);
    const fitting = Math.floor(CHUNK_VALUES / (chunk.rows * chunk.joints.length));
    this.#chunks ??= new TimeBuckets<ShownChunk>(Math.min(CHUNKS, Math.max(1, fitting)), CHUNK_BUCKET);
    const stamp = this.#seconds(chunk.stamp);
    if (this.#chunks.startsBucket(stamp)) this.#chunks.add(stamp, this.#shown(chunk, stamp));
  }

  command({ reason }: Command, now: bigint): void {
    const time = this.#secondsOfEvent(now);
    this.#commands[reason]++;
    if (reason !== 'step') this.#event(reason.toUpperCase(), 'command', time, `The policy commands ${reason}`);
  }

  refusal(refusal: Refusal, now: bigint): void {
    this.#event(refusal.code, 'refusal', this.#secondsOfEvent(now), refusal.message);
  }

  fault(fault: Pi05Error<FaultCode>, now: bigint): void {
    this.#event(fault.code, 'fault', this.#secondsOfEvent(now), fault.message);
  }

  /** Call after the last event. */
  async data(): Promise<ReportData> {
    return {
      start: toSeconds(this.#start ?? 0n),
      duration: this.#duration,
      cameras: await Promise.all([...this.#cameras.values()].map((strip) => strip.toStrip())),
      joints: this.#joints.map(({ name, quantity, measured, recorded }) => ({
        name,
        quantity,
        measured: measured.points,
        recorded: recorded.points,
      })),
      chunks: this.#chunks?.items ?? [],
      chunkCount: this.#chunkCount,
      commands: { ...this.#commands },
      events: [...this.#events.values()].map((row) => row.toRow()),
      inferenceMs: this.#inferenceMs.sorted,
      latencyMs: this.#latencyMs.sorted,
    };
  }

  /** Registers an event at `now`. @returns seconds since the first event. */
  #secondsOfEvent(now: bigint): number {
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
    if (row === undefined) this.#events.set(code, (row = new EventCollector(code, kind, time)));
    row.add(time, text);
  }

  #shown(chunk: ActionChunk, stamp: number): ShownChunk {
    const values = this.#joints.map(({ positions }, column) => {
      const rows = Array.from({ length: chunk.rows }, (_, row) => chunk.values[row * chunk.joints.length + column]!);
      if (positions === undefined) return rows;
      let position = positions.valueAt(chunk.stamp, 0n) ?? NaN;
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
  /** Measured positions, where velocities are integrated. */
  readonly positions: ValueHistory | undefined;
}

/** A camera's frames. */
class FrameStrip {
  readonly #frames = new TimeBuckets<{ time: number; source: Promise<string | undefined> }>(FRAMES, FRAME_BUCKET);
  #messages = 0;

  constructor(
    private readonly name: string,
    private readonly topic: string,
  ) {}

  add(time: number, image: RawImage | CompressedImage): void {
    this.#messages++;
    if (this.#frames.startsBucket(time)) this.#frames.add(time, { time, source: thumbnail(image) });
  }

  async toStrip(): Promise<CameraStrip> {
    const frames = await Promise.all(
      this.#frames.items.map(async ({ time, source }) => ({ time, source: await source })),
    );
    return {
      name: this.name,
      topic: this.topic,
      messages: this.#messages,
      frames: frames.flatMap(({ time, source }) => (source === undefined ? [] : [{ time, source }])),
    };
  }
}

/** The events of one code. */
class EventCollector {
  readonly #marks = new TimeBuckets<Mark>(MARKS, MARK_BUCKET, (a, b) => ({ ...a, to: b.to, count: a.count + b.count }));
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

  toRow(): EventRow {
    const { code, kind, first } = this;
    return { code, kind, count: this.#count, first, last: this.#last, marks: this.#marks.items };
  }
}
