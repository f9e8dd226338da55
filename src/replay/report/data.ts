import type { CommandReason } from '../../frame/frame.js';

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

/** The part of it that is drawn inside the page, where JSON has made null of NaN. */
export type PageData = Pick<ReportData, 'duration' | 'cameras' | 'joints' | 'events'> & {
  readonly chunks: readonly (Omit<ShownChunk, 'values'> & {
    readonly values: readonly (readonly (number | null)[])[];
  })[];
};
