/// <reference lib="dom" />
import { formatTime, formatNumber, ticks, timeTicks } from './format.js';
import type { CameraStrip, EventRow, JointPlot, PageData, Point } from './data.js';

/**
 * What the page does: draws everything that lies on the time axis, as wide as the window is and for the stretch of time
 * that was chosen. It goes into the page as it is compiled, after axis.ts.
 */

const GUTTER = 58;
const RIGHT = 10;
const PLOT_HEIGHT = 120;
const LABEL_HEIGHT = 18;
const STRIP_HEIGHT = 72;
const ROW_HEIGHT = 12;
const PRINTED_WIDTH = 700;
const MIN_WIDTH = 200;

interface Lane {
  draw(): void;
  /** What is shown for the time under the pointer; undefined when it has left. */
  point?(time: number | undefined): void;
}

const data = JSON.parse(document.getElementById('data')!.textContent) as PageData;
const root = document.getElementById('time')!;
const tip = root.querySelector<HTMLElement>('.tip')!;
const cursor = root.querySelector<HTMLElement>('.cursor')!;
const selection = root.querySelector<HTMLElement>('.selection')!;
const whole = { from: 0, to: Math.max(data.duration, 1e-3) };
let view = { ...whole };
let width = 0;
let printing = false;

const span = (): number => width - GUTTER - RIGHT;
const x = (time: number): number => GUTTER + ((time - view.from) / (view.to - view.from)) * span();
const timeAt = (pixel: number): number => view.from + ((pixel - GUTTER) / span()) * (view.to - view.from);
const visible = (from: number, to = from): boolean => to >= view.from && from <= view.to;
const px = (value: number): string => value.toFixed(1);

/** An SVG element; the namespace is that of the page's own pictures. */
const namespace = root.querySelector('svg')!.namespaceURI;
function svg(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: (Node | string)[]
): Element {
  const element = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

function xTicks(): { at: number; label: string }[] {
  const times = timeTicks(view.from, view.to, Math.max(2, span() / 90));
  const step = times.length > 1 ? times[1]! - times[0]! : view.to - view.from;
  return times.map((time) => ({ at: x(time), label: formatTime(time, step, view.to >= 60) }));
}

function xLabels(y: number): Element[] {
  return xTicks().map(({ at, label }) => svg('text', { x: px(at), y, class: 'x' }, label));
}

/** A picture with a clipped inside for what lies on the time axis. */
function picture(into: Element, height: number, below: number, outside: Element[], inside: Element[]): void {
  const grid = xTicks().map(({ at }) => svg('path', { d: `M${px(at)} 0V${height}`, class: 'grid' }));
  const clip = svg('svg', { x: GUTTER, y: 0, width: span(), height, viewBox: `${GUTTER} 0 ${span()} ${height}` });
  clip.append(...inside);
  into.setAttribute('width', String(width));
  into.setAttribute('height', String(height + below));
  into.replaceChildren(...grid, ...outside, clip);
}

/** Nearest first. */
function closest<T>(items: readonly T[], distance: (item: T) => number): T[] {
  return items.toSorted((a, b) => distance(a) - distance(b));
}

function lane(
  title: string,
  detail: string,
  parent: Element,
): { svg: Element; readout: HTMLElement; box: HTMLElement } {
  const box = document.createElement('figure');
  const caption = document.createElement('figcaption');
  const name = document.createElement('b');
  const kind = document.createElement('span');
  const readout = document.createElement('span');
  name.textContent = title;
  kind.textContent = detail;
  readout.className = 'readout';
  caption.append(name, kind, readout);
  const drawing = svg('svg', {});
  box.append(caption, drawing);
  parent.append(box);
  return { svg: drawing, readout, box };
}

function axisLane(into: Element): Lane {
  return { draw: () => picture(into, 4, LABEL_HEIGHT, xLabels(17), []) };
}

/** A film of as many frames as fit: in each place the frame nearest to its middle, if one lies in it. */
function cameraLane(camera: CameraStrip, parent: Element): Lane {
  const frames = camera.frames.length === 0 ? `${camera.topic} · nothing to show` : camera.topic;
  const { svg: into, box } = lane(camera.name, `${frames} · ${camera.messages} messages`, parent);
  const pictures = camera.frames.map(({ source }) => {
    const image = new Image();
    image.src = source;
    return image;
  });
  const draw = (): void => {
    const { naturalWidth = 0, naturalHeight = 0 } = pictures[0] ?? {};
    const wide = STRIP_HEIGHT * (naturalHeight > 0 ? naturalWidth / naturalHeight : 4 / 3);
    const places = Math.max(1, Math.floor(span() / (wide + 2)));
    const place = span() / places;
    const shown: Element[] = [];
    for (let index = 0; index < places; index++) {
      const middle = GUTTER + (index + 0.5) * place;
      const [frame] = closest(camera.frames, ({ time }) => Math.abs(x(time) - middle));
      if (frame === undefined || Math.abs(x(frame.time) - middle) > place / 2 + 1) continue;
      const where = { x: px(middle - wide / 2), y: 6, width: px(wide), height: STRIP_HEIGHT };
      shown.push(svg('image', { ...where, href: frame.source }));
      shown.push(svg('path', { d: `M${px(x(frame.time))} 0v5`, class: 'tick' }));
    }
    picture(into, STRIP_HEIGHT + 8, 0, [], shown);
  };
  void Promise.allSettled(pictures.map((image) => image.decode())).then(draw);
  box.addEventListener('pointermove', ({ clientX, clientY }) => {
    const time = timeAt(clientX - root.getBoundingClientRect().left);
    const [nearest] = closest(camera.frames, (frame) => Math.abs(frame.time - time));
    if (nearest === undefined) return;
    const image = new Image();
    image.src = nearest.source;
    showTip(clientX, clientY, [image, `${camera.name} at ${formatTime(nearest.time, 0.01)}`]);
  });
  return { draw };
}

/** One code's events; the nearest one's sentence is shown when pointed at. */
function eventLane(row: EventRow, parent: Element): Lane {
  const times = row.count === 1 ? 'once' : `${row.count} times`;
  const { svg: into, box } = lane(row.code, `${row.kind}, ${times}`, parent);
  const draw = (): void => {
    const marks = row.marks.filter(({ from, to }) => visible(from, to));
    const shapes = marks.map(({ from, to, text }) => {
      const wide = Math.max(3, x(to) - x(from));
      const mark = { x: px(x(from) - 1.5), y: 1, width: px(wide), height: ROW_HEIGHT - 2, class: row.kind };
      return svg('rect', mark, svg('title', {}, text));
    });
    const line = svg('path', { d: `M${GUTTER} ${ROW_HEIGHT / 2}H${width - RIGHT}`, class: 'grid' });
    picture(into, ROW_HEIGHT, 0, [line], shapes);
  };
  box.addEventListener('pointermove', ({ clientX, clientY }) => {
    const at = clientX - root.getBoundingClientRect().left;
    const away = ({ from, to }: { from: number; to: number }): number => Math.max(x(from) - at, at - x(to), 0);
    const [nearest] = closest(row.marks, away);
    if (nearest === undefined || away(nearest) > 8) return hideTip();
    const { from, to, count, text } = nearest;
    const when =
      count === 1 ? formatTime(from, 0.01) : `${count} times, ${formatTime(from, 0.01)} to ${formatTime(to, 0.01)}`;
    showTip(clientX, clientY, [`${row.code} · ${when}`, text]);
  });
  return { draw };
}

/** Values hold until the next one, as the robot's controllers keep them. */
function steps(points: readonly Point[], y: (value: number) => number): string {
  const path = points.map(
    ([time, value], index) => `${index === 0 ? 'M' : 'H'}${px(x(time))}${index === 0 ? ' ' : 'V'}${px(y(value))}`,
  );
  return path.join('');
}

function line(points: readonly Point[], y: (value: number) => number): string {
  return points.map(([time, value], index) => `${index === 0 ? 'M' : 'L'}${px(x(time))} ${px(y(value))}`).join('');
}

/** The points in view and the one on each side. */
function inView(points: readonly Point[]): readonly Point[] {
  const first = points.findIndex(([time]) => time >= view.from);
  const last = points.findLastIndex(([time]) => time <= view.to);
  return points.slice(Math.max(0, first < 0 ? points.length - 1 : first - 1), last + 2);
}

/** The newest value at or before `time`. */
function held(points: readonly Point[], time: number): number | undefined {
  return points.findLast(([at]) => at <= time)?.[1];
}

/** Chunk `index`'s values of a joint as points, the last held for its period. */
function chunkPoints(index: number, joint: number): Point[] {
  const { stamp, period, values } = data.chunks[index]!;
  const known = values[joint]!.flatMap((value, row): Point[] =>
    value === null ? [] : [[stamp + row * period, value]],
  );
  const last = known.at(-1);
  return last === undefined ? [] : [...known, [last[0] + period, last[1]]];
}

function jointLane(joint: JointPlot, column: number, parent: Element): Lane {
  const unit = joint.quantity === 'velocity' ? 'velocity, rad/s or m/s' : 'position, rad or m';
  const { svg: into, readout } = lane(joint.name, unit, parent);
  const chunks = data.chunks.map((_, index) => chunkPoints(index, column));
  let y: (value: number) => number = () => 0;
  const highlight = svg('path', { class: 'highlight' });
  const draw = (): void => {
    const lines = { measured: inView(joint.measured), recorded: inView(joint.recorded) };
    const fans = chunks.filter((points) => points.length > 0 && visible(points[0]![0], points.at(-1)![0]));
    let [low, high] = [Infinity, -Infinity];
    for (const points of [lines.measured, lines.recorded, ...fans]) {
      for (const [, value] of points) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
    const margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 0.01;
    if (!(low <= high)) [low, high] = [0, 1];
    [low, high] = [low - margin, high + margin];
    y = (value) => PLOT_HEIGHT - ((value - low) / (high - low)) * PLOT_HEIGHT;
    const levels = ticks(low, high, 4).filter((value) => y(value) > 5 && y(value) < PLOT_HEIGHT - 3);
    const outside = levels.flatMap((value) => [
      svg('path', { d: `M${GUTTER} ${px(y(value))}H${width - RIGHT}`, class: value === 0 ? 'grid zero' : 'grid' }),
      svg('text', { x: GUTTER - 6, y: px(y(value) + 4), class: 'y' }, formatNumber(value)),
    ]);
    const apart = fans.length > 1 ? span() / fans.length : Infinity;
    const starts = apart > 8 ? fans.map(([first]) => `M${px(x(first![0]))} ${px(y(first![1]))}h0`).join('') : '';
    picture(
      into,
      PLOT_HEIGHT,
      printing ? LABEL_HEIGHT : 2,
      [...outside, ...(printing ? xLabels(PLOT_HEIGHT + 14) : [])],
      [
        svg('path', { d: fans.map((points) => steps(points, y)).join(''), class: 'predicted' }),
        svg('path', { d: starts, class: 'starts' }),
        svg('path', { d: line(lines.measured, y), class: 'measured' }),
        svg('path', { d: steps(lines.recorded, y), class: 'recorded' }),
        highlight,
      ],
    );
    highlight.setAttribute('d', '');
  };
  const point = (time: number | undefined): void => {
    const newest =
      time === undefined ? -1 : chunks.findLastIndex((points) => points.length > 0 && points[0]![0] <= time);
    const covers = newest >= 0 && chunks[newest]!.at(-1)![0] >= time!;
    highlight.setAttribute('d', covers ? steps(chunks[newest]!, y) : '');
    const value = (name: string, points: readonly Point[]): string => {
      const shown = time === undefined ? undefined : held(points, time);
      return shown === undefined ? '' : ` ${name} ${formatNumber(Math.abs(shown) < 1e-9 ? 0 : shown)}`;
    };
    readout.textContent =
      value('measured', joint.measured) +
      value('recorded', joint.recorded) +
      value('predicted', covers ? chunks[newest]! : []);
  };
  return { draw, point };
}

function showTip(left: number, top: number, content: (Node | string)[]): void {
  const box = root.getBoundingClientRect();
  tip.replaceChildren(
    ...content.map((item) => {
      const line = document.createElement('div');
      line.append(item);
      return line;
    }),
  );
  tip.hidden = false;
  const room = box.width - tip.offsetWidth - 4;
  tip.style.left = `${Math.max(0, Math.min(left - box.left + 14, room))}px`;
  tip.style.top = `${top - box.top + 18}px`;
}

function hideTip(): void {
  tip.hidden = true;
}

const lanes: Lane[] = [axisLane(document.getElementById('axis')!)];
const [cameras, events, joints] = ['cameras', 'events', 'joints'].map((id) => document.getElementById(id)!);
for (const camera of data.cameras) lanes.push(cameraLane(camera, cameras!));
for (const row of data.events) lanes.push(eventLane(row, events!));
for (const [column, joint] of data.joints.entries()) lanes.push(jointLane(joint, column, joints!));

function draw(): void {
  width = Math.max(MIN_WIDTH, printing ? PRINTED_WIDTH : root.clientWidth);
  for (const lane of lanes) lane.draw();
  const step = (view.to - view.from) / 100;
  document.getElementById('range')!.textContent =
    `${formatTime(view.from, step, view.to >= 60)} to ${formatTime(view.to, step)}`;
}

function look(from: number, to: number): void {
  const long = Math.min(Math.max(to - from, 1e-2), whole.to);
  const start = Math.min(Math.max(from, 0), whole.to - long);
  view = { from: start, to: start + long };
  draw();
}

function zoom(factor: number, shift = 0): void {
  const [centre, half] = [(view.from + view.to) / 2, ((view.to - view.from) / 2) * factor];
  look(centre - half + shift * 2 * half, centre + half + shift * 2 * half);
}

const ACTIONS: Readonly<Record<string, () => void>> = {
  all: () => look(whole.from, whole.to),
  in: () => zoom(0.5),
  out: () => zoom(2),
  earlier: () => zoom(1, -0.5),
  later: () => zoom(1, 0.5),
};
for (const button of root.querySelectorAll('button')) {
  button.addEventListener('click', () => ACTIONS[button.value]?.());
}

/** Where a drag began, px; one across the plots chooses the stretch of time. */
let dragged: number | undefined;
const pixelOf = (event: PointerEvent): number => event.clientX - root.getBoundingClientRect().left;

function point(event: PointerEvent): void {
  const at = pixelOf(event);
  const inside = at >= GUTTER && at <= width - RIGHT;
  cursor.hidden = !inside;
  cursor.style.left = `${at}px`;
  for (const lane of lanes) lane.point?.(inside ? timeAt(at) : undefined);
  const onLane = event.target instanceof Element && event.target.closest('#cameras figure, #events figure') !== null;
  if (!onLane) hideTip();
  if (dragged === undefined) return;
  selection.hidden = Math.abs(at - dragged) < 5;
  selection.style.left = `${Math.max(GUTTER, Math.min(at, dragged))}px`;
  selection.style.width = `${Math.abs(at - dragged)}px`;
}

root.addEventListener('pointermove', point);
root.addEventListener('pointerdown', (event) => {
  const free = event.target instanceof Element && event.target.closest('.toolbar') === null;
  if (free && event.button === 0 && event.pointerType !== 'touch') dragged = pixelOf(event);
});
addEventListener('pointerup', (event) => {
  const from = dragged;
  dragged = undefined;
  selection.hidden = true;
  if (from === undefined || Math.abs(pixelOf(event) - from) < 5) return;
  const times = [timeAt(from), timeAt(pixelOf(event))].sort((a, b) => a - b);
  look(times[0]!, times[1]!);
});
root.addEventListener('dblclick', () => look(whole.from, whole.to));
root.addEventListener('pointerleave', () => {
  cursor.hidden = true;
  hideTip();
  for (const lane of lanes) lane.point?.(undefined);
});
addEventListener('beforeprint', () => {
  printing = true;
  draw();
});
addEventListener('afterprint', () => {
  printing = false;
  draw();
});
new ResizeObserver(() => {
  if (!printing && root.clientWidth !== width) draw();
}).observe(root);
draw();
