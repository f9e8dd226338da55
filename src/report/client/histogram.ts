/// <reference lib="dom" />
import type UPlot from 'uplot';
import { formatNumber } from '../format.js';
import type { Histogram } from '../data.js';
import { axis, color, createPlot, legend } from './plot.js';

declare const uPlot: typeof UPlot;

const HISTOGRAM_HEIGHT = 190;
/** Space for the half of an x label, CSS pixels. */
const SIDE_PADDING = 20;

/** A histogram with its marks. The legend shows the range and the count of the bar under the cursor. */
export function addHistogram(figure: HTMLElement, { from, to, counts, overflow, marks }: Histogram): void {
  const width = (to - from) / counts.length;
  const range = (bin: number): string => {
    const start = formatNumber(from + bin * width);
    if (overflow && bin === counts.length - 1) return `${start} ms and more`;
    return `${start} to ${formatNumber(from + (bin + 1) * width)} ms`;
  };
  // Each mark has its own axis above the bars, because labels on one axis could overlap.
  const markAxes = marks.map(({ value, label }) =>
    axis({
      scale: 'x',
      side: 0,
      size: 14,
      splits: () => [value],
      values: () => [label],
      align: value > (from + to) / 2 ? 2 : 1,
      stroke: () => color('ink'),
      grid: { stroke: () => color('ink'), dash: [3, 2] },
    }),
  );
  createPlot(
    figure,
    {
      height: HISTOGRAM_HEIGHT,
      padding: [4, SIDE_PADDING, 0, SIDE_PADDING],
      drawOrder: ['series', 'axes'] as UPlot.DrawOrderKey[],
      series: [
        { label: 'duration', value: (_, __, ___, bin) => (bin === null ? '–' : range(bin)) },
        {
          label: 'chunks',
          value: (_, count: number | null) => count ?? '–',
          paths: uPlot.paths.bars!({ size: [1], gap: 1 }),
          fill: () => color('recorded'),
          width: 0,
          points: { show: false },
        },
      ],
      scales: { x: { time: false, range: [from, to] }, y: { range: (_, __, most) => [0, most] } },
      axes: [axis({ size: 18, space: 80, grid: { show: false } }), { show: false }, ...markAxes],
      cursor: { x: false, y: false, points: { show: false }, drag: { x: false } },
      legend: legend(figure.querySelector('figcaption')!),
    },
    [counts.map((_, bin) => from + (bin + 0.5) * width), [...counts]],
  );
}
