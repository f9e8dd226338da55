/// <reference lib="dom" />
import type UPlot from 'uplot';
import { formatNumber } from '../format.js';
import type { JointPlot, PageData, Point } from '../data.js';
import { addHighlight, ChunkFan } from './chunk-fan.js';
import { addFigure } from './figure.js';
import { color, legend } from './plot.js';
import { timeAtCursor, type TimeAxis } from './time-axis.js';

declare const uPlot: typeof UPlot;

const PLOT_HEIGHT = 120;

/**
 * One action joint on the time axis: measured positions or velocities, recorded actions, and the predicted chunks, of which the
 * one under the cursor is highlighted.
 * @param column of the joint in the chunks.
 */
export function addJointPlot(
  timeAxis: TimeAxis,
  joint: JointPlot,
  chunks: PageData['chunks'],
  column: number,
  parent: Element,
): void {
  const unit = joint.quantity === 'velocity' ? 'velocity, rad/s or m/s' : 'position, rad or m';
  const { box, caption } = addFigure(parent, joint.name, unit);
  const fan = new ChunkFan(chunks, column);
  const predicted = (plot: UPlot): number | undefined => {
    const time = timeAtCursor(plot);
    return time === undefined ? undefined : fan.chunkAt(time).findLast(([start]) => start <= time)?.[1];
  };
  const series = [
    line('predicted', {
      alpha: 0.75,
      paths: (plot) => fan.path(plot),
      points: { show: (plot) => fan.showsDots(plot), size: 4.5, fill: () => color('predicted') },
      value: (plot) => valueText(predicted(plot)),
    }),
    line('measured', { width: 1.2, dash: [5, 3] }),
    line('recorded', { width: 2, paths: uPlot.paths.stepped!({ align: 1 }) }),
  ];
  const plot = timeAxis.plot(box, PLOT_HEIGHT, {
    series,
    tables: [fan.starts, joint.measured, joint.recorded].map(toTable),
    yRange: ([from, to], least, most) => {
      const values = fan.valuesBetween(from, to);
      const low = values.reduce((a, b) => Math.min(a, b), least ?? Infinity);
      const high = values.reduce((a, b) => Math.max(a, b), most ?? -Infinity);
      return low <= high ? uPlot.rangeNum(low, high, 0.05, false) : [0, 1];
    },
    hasLabels: true,
    legend: legend(caption, series),
    hooks: { setCursor: [(self) => highlight(fan.chunkAt(timeAtCursor(self) ?? NaN))] },
  });
  const highlight = addHighlight(plot);
}

/** A series in the colour of its name. */
function line(name: string, options: UPlot.Series): UPlot.Series {
  const value = (_: UPlot, current: number | null): string => valueText(current);
  return { label: name, class: name, stroke: () => color(name), points: { show: false }, value, ...options };
}

function toTable(points: readonly Point[]): UPlot.AlignedData {
  return [points.map(([time]) => time), points.map(([, value]) => value)];
}

function valueText(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  return formatNumber(Math.abs(value) < 1e-9 ? 0 : value);
}
