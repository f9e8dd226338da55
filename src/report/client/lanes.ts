/// <reference lib="dom" />
import type UPlot from 'uplot';
import { formatNumber, formatTime } from '../format.js';
import type { CameraStrip, EventRow, JointPlot, Point } from '../data.js';
import { axis, color, data, LABELS_WIDTH, paint, timeChart } from './charts.js';

declare const uPlot: typeof UPlot;

/** The rows of the time axis: camera strips, events of one code, and action joints with the predicted chunks. */

const STRIP_HEIGHT = 72;
const EVENT_HEIGHT = 12;
const JOINT_HEIGHT = 120;
/** The page may not contain an address, so the namespace is that of an SVG element in it. */
const SVG = document.querySelector('svg')!.namespaceURI;

const tip = document.querySelector<HTMLElement>('.tip')!;

/** A figure with a caption. @returns the figure, and the part of the caption that shows values under the cursor. */
function figure(title: string, detail: string, parent: Element): { box: HTMLElement; readout: HTMLElement } {
  const box = document.createElement('figure');
  const caption = document.createElement('figcaption');
  const [name, kind, readout] = ['b', 'span', 'span'].map((tag) => document.createElement(tag));
  name!.textContent = title;
  kind!.textContent = detail;
  readout!.className = 'readout';
  caption.append(name!, kind!, readout!);
  box.append(caption);
  parent.append(box);
  return { box, readout: readout! };
}

/** Calls `show` with the pointer's position in the plot area, in CSS pixels; it returns what the tip shows. */
export function tipOver(plot: UPlot, show: (x: number) => (Node | string)[] | undefined): void {
  plot.over.addEventListener('pointermove', ({ clientX, clientY }) => {
    const content = show(clientX - plot.over.getBoundingClientRect().left);
    tip.hidden = content === undefined;
    if (content === undefined) return;
    const lines = content.map((item) => {
      const line = document.createElement('div');
      line.append(item);
      return line;
    });
    tip.replaceChildren(...lines);
    const left = Math.min(clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${clientY + 18}px`;
  });
  plot.over.addEventListener('pointerleave', () => {
    tip.hidden = true;
  });
}

function nearest<T>(items: readonly T[], distance: (item: T) => number): T | undefined {
  return items.toSorted((a, b) => distance(a) - distance(b))[0];
}

/** As many frames as fit side by side: in each place the frame nearest to its middle, if one lies in it. */
export function cameraLane(camera: CameraStrip, parent: Element): void {
  const topic = camera.frames.length === 0 ? `${camera.topic} · no image to show` : camera.topic;
  const { box } = figure(camera.name, `${topic} · ${camera.messages} messages`, parent);
  const images = camera.frames.map(({ source }) => {
    const image = new Image();
    image.src = source;
    return image;
  });
  const frames = camera.frames.map(({ time }, index) => ({ time, image: images[index]! }));
  const draw = (plot: UPlot): void =>
    paint(plot, (context) => {
      const { naturalWidth = 0, naturalHeight = 0 } = images[0] ?? {};
      const width = STRIP_HEIGHT * (naturalHeight > 0 ? naturalWidth / naturalHeight : 4 / 3);
      const span = plot.over.clientWidth;
      const places = Math.max(1, Math.floor(span / (width + 2)));
      const place = span / places;
      context.strokeStyle = color('soft');
      for (let index = 0; index < places; index++) {
        const middle = (index + 0.5) * place;
        const frame = nearest(frames, ({ time }) => Math.abs(plot.valToPos(time, 'x') - middle));
        if (frame === undefined || !frame.image.complete || frame.image.naturalWidth === 0) continue;
        const x = plot.valToPos(frame.time, 'x');
        if (Math.abs(x - middle) > place / 2 + 1) continue;
        context.drawImage(frame.image, middle - width / 2, 6, width, STRIP_HEIGHT);
        context.beginPath();
        context.moveTo(x, 0);
        context.lineTo(x, 5);
        context.stroke();
      }
    });
  const plot = timeChart(box, STRIP_HEIGHT + 8, { draw });
  void Promise.allSettled(images.map((image) => image.decode())).then(() => plot.redraw());
  tipOver(plot, (x) => {
    const frame = nearest(camera.frames, ({ time }) => Math.abs(plot.valToPos(time, 'x') - x));
    if (frame === undefined) return undefined;
    const image = new Image();
    image.src = frame.source;
    return [image, `${camera.name} at ${formatTime(frame.time, 0.01)}`];
  });
}

/** The events of one code. The tip shows the sentence of the nearest one. */
export function eventLane(row: EventRow, parent: Element): void {
  const times = row.count === 1 ? 'once' : `${row.count} times`;
  const { box } = figure(row.code, `${row.kind}, ${times}`, parent);
  const draw = (plot: UPlot): void =>
    paint(plot, (context) => {
      context.fillStyle = color('rule');
      context.fillRect(0, EVENT_HEIGHT / 2, plot.over.clientWidth, 1);
      context.fillStyle = color(row.kind);
      for (const { from, to } of row.marks) {
        const [left, right] = [plot.valToPos(from, 'x'), plot.valToPos(to, 'x')];
        context.fillRect(left - 1.5, 1, Math.max(3, right - left), EVENT_HEIGHT - 2);
      }
    });
  const plot = timeChart(box, EVENT_HEIGHT, { draw });
  tipOver(plot, (x) => {
    const distance = ({ from, to }: { from: number; to: number }): number =>
      Math.max(plot.valToPos(from, 'x') - x, x - plot.valToPos(to, 'x'), 0);
    const mark = nearest(row.marks, distance);
    if (mark === undefined || distance(mark) > 8) return undefined;
    const { from, to, count, text } = mark;
    const when = count === 1 ? '' : `${count} times, `;
    return [`${row.code} · ${when}${formatTime(from, 0.01)}${count === 1 ? '' : ` to ${formatTime(to, 0.01)}`}`, text];
  });
}

/** A chunk's values of one joint as points: each holds until the next, and the last one for its period. */
function chunkPoints(index: number, joint: number): Point[] {
  const { stamp, period, values } = data.chunks[index]!;
  const known = values[joint]!.flatMap((value, row): Point[] =>
    value === null ? [] : [[stamp + row * period, value]],
  );
  const last = known.at(-1);
  return last === undefined ? [] : [...known, [last[0] + period, last[1]]];
}

/** Calls `to` with the corners of a line whose values hold until the next point, in CSS pixels. */
function steps(plot: UPlot, points: readonly Point[], to: (x: number, y: number) => void): void {
  let before = points[0]?.[1];
  for (const [time, value] of points) {
    const x = plot.valToPos(time, 'x');
    to(x, plot.valToPos(before!, 'y'));
    to(x, plot.valToPos(value, 'y'));
    before = value;
  }
}

/** The newest value at or before `time`. */
function valueAt(points: readonly Point[], time: number): number | undefined {
  return points.findLast(([at]) => at <= time)?.[1];
}

/** Measured positions or velocities, recorded actions, and every predicted chunk from its stamp on. */
export function jointLane(joint: JointPlot, column: number, parent: Element): void {
  const unit = joint.quantity === 'velocity' ? 'velocity, rad/s or m/s' : 'position, rad or m';
  const { box, readout } = figure(joint.name, unit, parent);
  const chunks = data.chunks.map((_, index) => chunkPoints(index, column)).filter((points) => points.length > 0);
  const chunksIn = ({ min = 0, max = 0 }: UPlot.Scale): Point[][] =>
    chunks.filter((points) => points[0]![0] <= max && points.at(-1)![0] >= min);

  const yRange = (plot: UPlot, least: number | null, most: number | null): [number, number] => {
    const predicted = chunksIn(plot.scales.x!).flatMap((points) => points.map(([, value]) => value));
    const low = predicted.reduce((a, b) => Math.min(a, b), least ?? Infinity);
    const high = predicted.reduce((a, b) => Math.max(a, b), most ?? -Infinity);
    if (!(low <= high)) return [0, 1];
    const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 0.01;
    return [low - margin, high + margin];
  };

  const drawChunks = (plot: UPlot): void =>
    paint(plot, (context) => {
      const visible = chunksIn(plot.scales.x!);
      const width = plot.over.clientWidth;
      context.fillStyle = color('soft');
      context.fillRect(0, plot.valToPos(0, 'y'), width, 1);
      context.strokeStyle = context.fillStyle = color('predicted');
      context.globalAlpha = 0.75;
      context.beginPath();
      for (const points of visible) {
        context.moveTo(plot.valToPos(points[0]![0], 'x'), plot.valToPos(points[0]![1], 'y'));
        steps(plot, points, (x, y) => context.lineTo(x, y));
      }
      context.stroke();
      context.globalAlpha = 1;
      if (width / visible.length <= 8) return;
      for (const [first] of visible) {
        context.beginPath();
        context.arc(plot.valToPos(first![0], 'x'), plot.valToPos(first![1], 'y'), 2.25, 0, 2 * Math.PI);
        context.fill();
      }
    });

  const highlight = document.createElementNS(SVG, 'path');
  highlight.setAttribute('class', 'highlight');
  const onCursor = (plot: UPlot, time: number | undefined): void => {
    const newest = time === undefined ? undefined : chunks.findLast((points) => points[0]![0] <= time);
    const chunk = newest !== undefined && newest.at(-1)![0] >= time! ? newest : [];
    let path = '';
    steps(plot, chunk, (x, y) => {
      path += `${path === '' ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    highlight.setAttribute('d', path);
    const text = (name: string, points: readonly Point[]): string => {
      const value = time === undefined ? undefined : valueAt(points, time);
      return value === undefined ? '' : ` ${name} ${formatNumber(Math.abs(value) < 1e-9 ? 0 : value)}`;
    };
    readout.textContent =
      text('measured', joint.measured) + text('recorded', joint.recorded) + text('predicted', chunk);
  };

  const plot = timeChart(box, JOINT_HEIGHT, {
    series: [
      { stroke: () => color('measured'), width: 1.2, dash: [5, 3] },
      { stroke: () => color('recorded'), width: 2, paths: uPlot.paths.stepped!({ align: 1 }) },
    ],
    points: [joint.measured, joint.recorded],
    yRange,
    yAxis: axis({ size: LABELS_WIDTH, space: 28, values: (_, levels) => levels.map(formatNumber) }),
    labels: 'printed',
    drawBelow: drawChunks,
    onCursor,
  });
  const overlay = document.createElementNS(SVG, 'svg');
  overlay.append(highlight);
  plot.over.append(overlay);
}
