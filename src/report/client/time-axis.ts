/// <reference lib="dom" />
import type UPlot from 'uplot';
import { formatTime } from '../format.js';
import { axis, createPlot } from './plot.js';

declare const uPlot: typeof UPlot;

/** Sizes of the y and x labels, and the space at the right of a plot area, CSS pixels. */
const Y_LABELS_WIDTH = 58;
const X_LABELS_HEIGHT = 18;
const RIGHT_PADDING = 10;
/** The shortest interval to zoom to, s. */
const MIN_INTERVAL = 1e-2;

interface TimePlotOptions {
  readonly series?: UPlot.Series[];
  /** Times and values: one table for each of `series`. */
  readonly tables?: UPlot.AlignedData[];
  /** The y range for the shown interval, s, and the extremes of the values of `tables` in it. */
  readonly yRange?: (shown: readonly [number, number], least: number | null, most: number | null) => UPlot.Range.MinMax;
  /** Whether times are written below the plot area. */
  readonly hasLabels?: boolean;
  readonly legend?: UPlot.Legend;
  readonly hooks?: UPlot.Hooks.Arrays;
}

/** A time axis that many plots share: uPlot synchronises their cursors, and zooming in one of them zooms in all. */
export class TimeAxis {
  readonly #duration: number;
  readonly #plots: UPlot[] = [];

  /** @param duration s. */
  constructor(duration: number) {
    this.#duration = Math.max(duration, 1e-3);
  }

  /** Adds a plot. @param height of the plot area, CSS pixels. */
  plot(parent: HTMLElement, height: number, options: TimePlotOptions): UPlot {
    const { series = [], tables = [], yRange, hasLabels = false, legend, hooks } = options;
    const labelsHeight = hasLabels ? X_LABELS_HEIGHT : 0;
    // uPlot chooses the x range before the y ranges, but `scales.x` has the previous one until all are chosen.
    let shown: [number, number] = [0, this.#duration];
    const range = (_: UPlot, min: number, max: number): [number, number] => (shown = this.#clamp(min, max));
    const plot = createPlot(
      parent,
      {
        height: height + labelsHeight,
        padding: [0, RIGHT_PADDING, 0, yRange === undefined ? Y_LABELS_WIDTH : 0],
        series: [{ label: 'time', value: (_, time) => (time === null ? '' : formatTime(time, 0.01)) }, ...series],
        scales: {
          x: { time: true, range },
          ...(yRange === undefined ? {} : { y: { range: (_, least, most) => yRange(shown, least, most) } }),
        },
        // Times are not dates: without this the labels would be round in the local time zone.
        tzDate: (time) => uPlot.tzDate(new Date(time * 1e3), 'Etc/UTC'),
        axes: [
          axis({
            size: labelsHeight,
            space: 90,
            values: ({ scales }, times, _, __, step) =>
              hasLabels ? times.map((time) => formatTime(time, step, scales.x!.max! >= 60)) : [],
          }),
          ...(yRange === undefined ? [] : [axis({ size: Y_LABELS_WIDTH, space: 28 })]),
        ],
        cursor: {
          y: false,
          points: { show: false },
          // The newest value at or before the cursor.
          hover: { bias: -1 },
          drag: { dist: 5 },
          sync: { key: 'time', scales: ['x', null] },
        },
        ...(legend === undefined ? {} : { legend }),
        ...(hooks === undefined ? {} : { hooks }),
      },
      uPlot.join([[[0, this.#duration]], ...tables]),
    );
    this.#plots.push(plot);
    return plot;
  }

  showAll(): void {
    this.#show(0, this.#duration);
  }

  /** Multiplies the length of the shown interval by `factor` and moves its middle by `shift` of the new length. */
  zoom(factor: number, shift: number): void {
    const { min = 0, max = 0 } = this.#plots[0]?.scales.x ?? {};
    const length = (max - min) * factor;
    const start = (min + max - length) / 2 + shift * length;
    this.#show(start, start + length);
  }

  #show(min: number, max: number): void {
    for (const plot of this.#plots) plot.setScale('x', { min, max });
  }

  #clamp(min: number, max: number): [number, number] {
    const length = Math.min(Math.max(max - min, MIN_INTERVAL), this.#duration);
    const start = Math.min(Math.max(min, 0), this.#duration - length);
    return [start, start + length];
  }
}

/** The time under the cursor, s; undefined where there is no cursor. */
export function timeAtCursor(plot: UPlot): number | undefined {
  const { left = -1 } = plot.cursor;
  return left < 0 ? undefined : plot.posToVal(left, 'x');
}
