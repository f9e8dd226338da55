/// <reference lib="dom" />
import { formatNumber } from '../format.js';
import { data, histogram, redrawAll, setPrinting, showAll, showRange, timeChart, zoom } from './charts.js';
import { cameraLane, eventLane, jointLane, tipOver } from './lanes.js';

/** What the page does when it is opened: draws every chart, and follows the buttons, the window and the printer. */

const HISTOGRAM_HEIGHT = 170;
const BUTTONS: Readonly<Record<string, () => void>> = {
  all: showAll,
  in: () => zoom(0.5, 0),
  out: () => zoom(2, 0),
  earlier: () => zoom(1, -0.5),
  later: () => zoom(1, 0.5),
};

const [axisBox, cameras, events, joints] = ['axis', 'cameras', 'events', 'joints'].map((id) =>
  document.getElementById(id)!,
);
timeChart(axisBox!, 4, { labels: 'always' });
for (const camera of data.cameras) cameraLane(camera, cameras!);
for (const row of data.events) eventLane(row, events!);
for (const [column, joint] of data.joints.entries()) jointLane(joint, column, joints!);
for (const [index, figure] of document.querySelectorAll<HTMLElement>('figure.histogram').entries()) {
  const values = data.histograms[index]!;
  const { from, to, counts, overflow } = values;
  const plot = histogram(figure, HISTOGRAM_HEIGHT, values);
  tipOver(plot, (x) => {
    const bin = Math.floor((x / plot.over.clientWidth) * counts.length);
    if (counts[bin] === undefined) return undefined;
    const edge = (at: number): string => formatNumber(from + ((to - from) * at) / counts.length);
    const range =
      overflow && bin === counts.length - 1 ? `${edge(bin)} ms and more` : `${edge(bin)} to ${edge(bin + 1)} ms`;
    return [`${range}: ${counts[bin]}`];
  });
}
showRange();

for (const button of document.querySelectorAll('#time button')) {
  const { value } = button as HTMLButtonElement;
  button.addEventListener('click', () => BUTTONS[value]?.());
}
addEventListener('beforeprint', () => setPrinting(true));
addEventListener('afterprint', () => setPrinting(false));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawAll);
let width = document.body.clientWidth;
new ResizeObserver(() => {
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  redrawAll();
}).observe(document.body);
