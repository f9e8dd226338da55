import type { CommandReason } from '../frame/frame.js';

/** What a report shows of a replay. Times are seconds since its first event. */
export interface ReportData {
  /** Of the first event in the bag's time, s. */
  readonly start: number;
  readonly duration: number;
  readonly cameras: readonly CameraStrip[];
  readonly joints: readonly JointPlot[];
  /** Those that are drawn; `chunkCount` came. */
  readonly chunks: readonly ShownChunk[];
  readonly chunkCount: number;
  readonly commands: Readonly<Record<CommandReason, number>>;
  readonly events: readonly EventRow[];
  /** Sorted. */
  readonly inferenceMs: readonly number[];
  readonly latencyMs: readonly number[];
}

export interface CameraStrip {
  readonly name: string;
  readonly topic: string;
  /** Messages seen. */
  readonly messages: number;
  readonly frames: readonly { readonly time: number; readonly source: string }[];
}

export type Point = readonly [time: number, value: number];

/** One action joint. */
export interface JointPlot {
  readonly name: string;
  readonly quantity: 'position' | 'velocity';
  /** The joint of the same name in the joint states, and its recorded actions. */
  readonly measured: readonly Point[];
  readonly recorded: readonly Point[];
}

/** `values[joint][row]` is for stamp + row × period; NaN where it is not known. */
export interface ShownChunk {
  readonly stamp: number;
  readonly period: number;
  readonly values: readonly (readonly number[])[];
}

/** Everything of one code, in the order in which codes first came. */
export interface EventRow {
  readonly code: string;
  readonly kind: 'refusal' | 'fault' | 'command';
  readonly count: number;
  readonly first: number;
  readonly last: number;
  readonly marks: readonly Mark[];
}

/** `count` events from `from` to `to`; `text` is the first one's sentence. */
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

/** Of predicted − recorded; null where nothing was compared. */
export interface ErrorSummary {
  readonly count: number;
  readonly mae: number | null;
  readonly rmse: number | null;
  readonly max: number | null;
}

/** In the joint's own units: rad or m, and per second where `quantity` is velocity. */
export interface JointEvaluation {
  readonly joint: string;
  /** The output topic on which its actions were looked for. */
  readonly topic: string | null;
  readonly quantity: 'position' | 'velocity';
  readonly gripper: boolean;
  /** Lowest and highest recorded value that was compared. */
  readonly range: readonly [number, number] | null;
  readonly overall: ErrorSummary;
  /** By step of the chunk. */
  readonly steps: readonly ErrorSummary[];
}

/** Joints of one kind together; grippers apart, since theirs are other units. */
export interface GroupEvaluation {
  readonly group: 'position' | 'velocity' | 'gripper';
  readonly joints: readonly string[];
  readonly overall: ErrorSummary;
  readonly steps: readonly ErrorSummary[];
}

/** Plain data, as it goes into `--json` and the report. */
export interface Evaluation {
  readonly method: string;
  readonly chunks: number;
  /** Messages with recorded actions. */
  readonly actions: number;
  /** Single values (chunk × step × joint) that had a recorded counterpart, and those that had none. */
  readonly compared: number;
  readonly uncompared: number;
  /** Why there is nothing to compare, or not for every joint; one sentence. */
  readonly problem: string | null;
  readonly groups: readonly GroupEvaluation[];
  readonly joints: readonly JointEvaluation[];
}
