/// <reference lib="dom" />
import type UPlot from 'uplot';
import { formatTime } from '../format.js';
import type { EventRow, Mark } from '../data.js';
import { addFigure, addTip, nearest } from './figure.js';
import { color, paint } from './plot.js';
import type { TimeAxis } from './time-axis.js';

const ROW_HEIGHT = 12;
const MIN_MARK_WIDTH = 3;
/** The tip shows a mark up to this far from the pointer, CSS pixels. */
const TIP_DISTANCE = 8;

/** The events of one code on the time axis. The tip shows the sentence of the nearest mark. */
export function addEventRow(timeAxis: TimeAxis, row: EventRow, parent: Element): void {
  const { box } = addFigure(parent, row.code, `${row.kind}, ${row.count === 1 ? 'once' : `${row.count} times`}`);
  const draw = (plot: UPlot): void =>
    paint(plot, (context) => {
      context.fillStyle = color('rule');
      context.fillRect(0, ROW_HEIGHT / 2, plot.over.clientWidth, 1);
      context.fillStyle = color(row.kind);
      for (const { from, to } of row.marks) {
        const [left, right] = [plot.valToPos(from, 'x'), plot.valToPos(to, 'x')];
        context.fillRect(left - MIN_MARK_WIDTH / 2, 1, Math.max(MIN_MARK_WIDTH, right - left), ROW_HEIGHT - 2);
      }
    });
  const plot = timeAxis.plot(box, ROW_HEIGHT, { hooks: { draw: [draw] } });
  addTip(plot, (x) => {
    const distance = ({ from, to }: Mark): number =>
      Math.max(plot.valToPos(from, 'x') - x, x - plot.valToPos(to, 'x'), 0);
    const mark = nearest(row.marks, distance);
    return mark && distance(mark) <= TIP_DISTANCE ? [`${row.code} · ${timesOf(mark)}\n`, mark.text] : undefined;
  });
}

function timesOf({ from, to, count }: Mark): string {
  return count === 1 ? formatTime(from, 0.01) : `${count} times, ${formatTime(from, 0.01)} to ${formatTime(to, 0.01)}`;
}
