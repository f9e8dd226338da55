/// <reference lib="dom" />
import type UPlot from 'uplot';
import { formatNumber, formatTime } from '../format.js';
import type { PageData } from '../data.js';

/** The charts of the page: uPlot, the colours of the style sheet, and one time axis that many charts share. */

declare const uPlot: typeof UPlot;

/** CSS pixels: the width of the y labels, the space at the right, the height of the x labels. */
export const LABELS_WIDTH = 58;
export const RIGHT = 10;
export const LABELS_HEIGHT = 18;
const PRINTED_WIDTH = 700;
const MIN_WIDTH = 200;
const FONT = '12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
/** Steps of the time axis that are round in seconds, minutes and hours, s. */
const TIME_STEPS = [
  ...[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
  ...[10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000],
];

interface Interval {
  readonly from: number;
  readonly to: number;
}

/** A chart and its height in CSS pixels on the screen and on paper. */
interface SizedChart {
  readonly plot: UPlot;
  readonly parent: Element;
  readonly height: number;
  readonly printedHeight: number;
}

export const data = JSON.parse(document.getElementById('data')!.textContent) as PageData;
const whole: Interval = { from: 0, to: Math.max(data.duration, 1e-3) };
let shown = whole;
let printing = false;
const charts: SizedChart[] = [];
const timeCharts: UPlot[] = [];

/** A colour of the style sheet, which depends on dark mode and print. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
}

/** Draws in the plot area, in CSS pixels from its upper left corner. */
export function paint({ ctx, bbox }: UPlot, draw: (context: CanvasRenderingContext2D) => void): void {
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.translate(bbox.left, bbox.top);
  ctx.scale(uPlot.pxRatio, uPlot.pxRatio);
  ctx.lineWidth = 1;
  draw(ctx);
  ctx.restore();
}

/** One axis in the colours of the page. */
export function axis(options: UPlot.Axis): UPlot.Axis {
  const grid = { stroke: () => color('rule'), width: 1 };
  return { stroke: () => color('soft'), font: FONT, gap: 4, ticks: { show: false }, grid, ...options };
}

function widthOf(parent: Element): number {
  return Math.max(MIN_WIDTH, printing ? PRINTED_WIDTH : parent.clientWidth);
}

/** A chart that is as wide as `parent`; `printedHeight` where it is another on paper. */
export function chart(
  parent: HTMLElement,
  height: number,
  options: Omit<UPlot.Options, 'width' | 'height'>,
  values: UPlot.AlignedData,
  printedHeight = height,
): UPlot {
  const plot = new uPlot(
    { width: widthOf(parent), height, padding: [0, RIGHT, 0, 0], legend: { show: false }, ...options },
    values,
    parent,
  );
  charts.push({ plot, parent, height, printedHeight });
  return plot;
}

/** What is special about one chart of the time axis. */
interface TimeChartOptions {
  readonly series?: readonly UPlot.Series[];
  /** [time, value] of each series. */
  readonly points?: readonly (readonly (readonly [number, number])[])[];
  readonly yRange?: UPlot.Range.Function;
  readonly yAxis?: UPlot.Axis;
  /** Whether times are written below it: always, or on paper only. */
  readonly labels?: 'always' | 'printed';
  /** Draws below and above the series. */
  readonly drawBelow?: (plot: UPlot) => void;
  readonly draw?: (plot: UPlot) => void;
  /** The time under the pointer, in this chart or another one; undefined where there is none. */
  readonly onCursor?: (plot: UPlot, time: number | undefined) => void;
}

/** A chart of the shared time axis: zooming in one of them, and the cursor, move all. @param height of the plot area. */
export function timeChart(parent: HTMLElement, height: number, options: TimeChartOptions): UPlot {
  const { series = [{}], points = [], labels, onCursor } = options;
  const labelsHeight = (): number => (labels === 'always' || (labels === 'printed' && printing) ? LABELS_HEIGHT : 0);
  const tables = points.map((line): UPlot.AlignedData => [line.map(([time]) => time), line.map(([, value]) => value)]);
  const ends: UPlot.AlignedData = [[whole.from, whole.to], points.length === 0 ? [0, 0] : []];
  const plot = chart(
    parent,
    height + (labels === 'always' ? LABELS_HEIGHT : 0),
    {
      series: [{}, ...series.map((line) => ({ points: { show: false }, ...line }))],
      scales: {
        x: { time: false, range: () => [shown.from, shown.to] },
        y: { range: options.yRange ?? [0, 1] },
      },
      axes: [
        axis({
          size: labelsHeight,
          space: 90,
          incrs: TIME_STEPS,
          values: (_, times, __, ___, step) =>
            times.map((time) => (labelsHeight() > 0 ? formatTime(time, step, shown.to >= 60) : '')),
        }),
        axis({ size: LABELS_WIDTH, space: 28, values: () => [], grid: { show: false }, ...options.yAxis }),
      ],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 5 },
        sync: { key: 'time', scales: ['x', null] },
        bind: {
          dblclick: () => () => {
            showAll();
            return null;
          },
        },
      },
      hooks: {
        setSelect: [selectTime],
        setCursor: [(self) => onCursor?.(self, timeAtCursor(self))],
        drawAxes: [(self) => options.drawBelow?.(self)],
        draw: [(self) => options.draw?.(self)],
      },
    },
    tables.length === 0 ? ends : uPlot.join([...tables, ends]),
    height + (labels === undefined ? 0 : LABELS_HEIGHT),
  );
  timeCharts.push(plot);
  return plot;
}

function timeAtCursor(plot: UPlot): number | undefined {
  const { left = -1 } = plot.cursor;
  return left < 0 ? undefined : plot.posToVal(left, 'x');
}

/** Zooms to the selected stretch of time. */
function selectTime(plot: UPlot): void {
  const { left, width } = plot.select;
  if (width === 0) return;
  const [from, to] = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  showInterval(from, to);
}

function showInterval(from: number, to: number): void {
  const length = Math.min(Math.max(to - from, 1e-2), whole.to);
  const start = Math.min(Math.max(from, 0), whole.to - length);
  shown = { from: start, to: start + length };
  for (const plot of timeCharts) plot.setScale('x', { min: shown.from, max: shown.to });
  showRange();
}

export function showRange(): void {
  const step = (shown.to - shown.from) / 100;
  const range = `${formatTime(shown.from, step, shown.to >= 60)} to ${formatTime(shown.to, step)}`;
  document.getElementById('range')!.textContent = range;
}

export function showAll(): void {
  showInterval(whole.from, whole.to);
}

/** Multiplies the length of the shown interval by `factor` and moves its middle by `shift` of the new length. */
export function zoom(factor: number, shift: number): void {
  const length = (shown.to - shown.from) * factor;
  const middle = (shown.from + shown.to) / 2 + shift * length;
  showInterval(middle - length / 2, middle + length / 2);
}

/** Draws all charts again in the current colours and widths. */
export function redrawAll(): void {
  for (const { plot, parent, height, printedHeight } of charts) {
    const size = { width: widthOf(parent), height: printing ? printedHeight : height };
    // At once: a page is printed when the event's listeners have returned.
    plot.batch(() => plot.setSize(size));
  }
}

/** On paper the charts are in light colours, as wide as the page, and with their own time labels. */
export function setPrinting(value: boolean): void {
  printing = value;
  document.documentElement.classList.toggle('printing', value);
  redrawAll();
}

/** A histogram with a bar for each of `counts`, from `from` to `to` on the x axis, and marks with labels. */
export function histogram(
  parent: HTMLElement,
  height: number,
  { from, to, counts, marks }: PageData['histograms'][number],
): UPlot {
  const width = (to - from) / counts.length;
  const edges = counts.map((_, bin) => from + bin * width);
  return chart(
    parent,
    height,
    {
      padding: [48, RIGHT, 0, RIGHT],
      series: [
        {},
        {
          paths: uPlot.paths.bars!({ align: 1, size: [1], gap: 1 }),
          fill: () => color('recorded'),
          width: 0,
          points: { show: false },
        },
      ],
      scales: { x: { time: false, range: [from, to] }, y: { range: (_, __, most) => [0, most] } },
      axes: [
        axis({ size: LABELS_HEIGHT, space: 80, grid: { show: false }, values: (_, at) => at.map(formatNumber) }),
        { show: false },
      ],
      cursor: { show: false },
      hooks: { draw: [(plot) => drawMarks(plot, marks)] },
    },
    [edges, [...counts]],
  );
}

/** Dashed vertical lines, each with its label above the plot area. */
function drawMarks(plot: UPlot, marks: PageData['histograms'][number]['marks']): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.translate(bbox.left, bbox.top);
  ctx.scale(uPlot.pxRatio, uPlot.pxRatio);
  ctx.lineWidth = 1;
  ctx.strokeStyle = ctx.fillStyle = color('ink');
  ctx.font = FONT;
  for (const [index, { value, label }] of marks.entries()) {
    const [x, y] = [plot.valToPos(value, 'x'), -36 + index * 14];
    ctx.setLineDash([3, 2]);
    ctx.beginPath();
    ctx.moveTo(x, y - 8);
    ctx.lineTo(x, bbox.height / uPlot.pxRatio);
    ctx.stroke();
    const isRight = x > bbox.width / uPlot.pxRatio / 2;
    ctx.textAlign = isRight ? 'right' : 'left';
    ctx.fillText(label, isRight ? x - 4 : x + 4, y);
  }
  ctx.restore();
}
