import type { CommandReason } from '../frame/frame.js';

/** The data of a report. Times are seconds since the first event. */
export interface ReportData {
  /** Time of the first event on the clock of the run, s. */
  readonly start: number;
  readonly duration: number;
  readonly cameras: readonly CameraStrip[];
  readonly joints: readonly JointPlot[];
  /** The chunks that are drawn, some of `chunkCount`. */
  readonly chunks: readonly ShownChunk[];
  readonly chunkCount: number;
  readonly commands: Readonly<Record<CommandReason, number>>;
  readonly events: readonly EventRow[];
  /** In ascending order. */
  readonly inferenceMs: readonly number[];
  readonly latencyMs: readonly number[];
}

export interface CameraStrip {
  readonly name: string;
  readonly topic: string;
  /** Number of messages. */
  readonly messages: number;
  readonly frames: readonly { readonly time: number; readonly source: string }[];
}

export type Point = readonly [time: number, value: number];

/** One action joint. */
export interface JointPlot {
  readonly name: string;
  readonly quantity: 'position' | 'velocity';
  /** From the joint states, and from the recorded actions. */
  readonly measured: readonly Point[];
  readonly recorded: readonly Point[];
}

/** `values[joint][row]` is the value at stamp + row × period; NaN where it is not known. */
export interface ShownChunk {
  readonly stamp: number;
  readonly period: number;
  readonly values: readonly (readonly number[])[];
}

/** The events of one code; rows are in the order of their first events. */
export interface EventRow {
  readonly code: string;
  readonly kind: 'refusal' | 'fault' | 'command';
  readonly count: number;
  readonly first: number;
  readonly last: number;
  readonly marks: readonly Mark[];
}

/** `count` events from `from` to `to`; `text` is the sentence of the first one. */
export interface Mark {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly text: string;
}

/** `counts` of equal bins from `from` to `to`, ms. */
export interface Histogram {
  readonly from: number;
  readonly to: number;
  readonly counts: readonly number[];
  /** Whether the last bin also counts everything above `to`. */
  readonly overflow: boolean;
  readonly marks: readonly { readonly value: number; readonly label: string }[];
}

/** The data of the page's script, in which JSON has replaced NaN by null. */
export type PageData = Pick<ReportData, 'duration' | 'cameras' | 'joints' | 'events'> & {
  /** In the order of their figures in the page. */
  readonly histograms: readonly Histogram[];
  readonly chunks: readonly (Omit<ShownChunk, 'values'> & {
    readonly values: readonly (readonly (number | null)[])[];
  })[];
};

interface SeamValues {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** The seams between chunks and the smoothness of the commands, as `--json` and the report contain them (`schedule/seam.ts`). */
export interface SeamResult {
  readonly count: number;
  /** 1 = what one control period allows. */
  readonly jump: SeamValues;
  /** Of the largest jump: time since the first message, s; null where there is no seam. */
  readonly largest: { readonly seconds: number; readonly joint: string } | null;
  /** Relative to the same. */
  readonly disagreement: SeamValues;
  /** In the robot's units per s³. */
  readonly jerk: { readonly rms: number; readonly max: number };
  /** Control ticks with nothing new. */
  readonly idle_steps: number;
}

/** Errors predicted − recorded; null where nothing was compared. */
export interface ErrorSummary {
  readonly count: number;
  readonly mae: number | null;
  readonly rmse: number | null;
  readonly max: number | null;
}

/** In the units of the joint: rad or m, per second where `quantity` is velocity. */
export interface JointEvaluation {
  readonly joint: string;
  /** The output topic of its recorded actions. */
  readonly topic: string | null;
  readonly quantity: 'position' | 'velocity';
  readonly gripper: boolean;
  /** The lowest and the highest recorded value that was compared. */
  readonly range: readonly [number, number] | null;
  readonly overall: ErrorSummary;
  /** By step of the chunk. */
  readonly steps: readonly ErrorSummary[];
}

/** Joints of one quantity; grippers are a group of their own, because their units differ. */
export interface GroupEvaluation {
  readonly group: 'position' | 'velocity' | 'gripper';
  readonly joints: readonly string[];
  readonly overall: ErrorSummary;
  readonly steps: readonly ErrorSummary[];
}

/** The open-loop evaluation, as `--json` and the report contain it. */
export interface Evaluation {
  readonly method: string;
  readonly chunks: number;
  /** Number of messages with recorded actions. */
  readonly actions: number;
  /** Number of values (chunk × step × joint) with and without a recorded counterpart. */
  readonly compared: number;
  readonly uncompared: number;
  /** One sentence: why no joint, or not every joint, was compared. */
  readonly problem: string | null;
  readonly groups: readonly GroupEvaluation[];
  readonly joints: readonly JointEvaluation[];
}
