/// <reference lib="dom" />
import { formatTime } from '../format.js';
import type { PageData } from '../data.js';
import { addCameraStrip } from './camera-strip.js';
import { addEventRow } from './event-row.js';
import { addHistogram } from './histogram.js';
import { addJointPlot } from './joint-plot.js';
import { redrawAll, setPrinting } from './plot.js';
import { TimeAxis } from './time-axis.js';

/** What the page does when it is opened: draws every chart, and follows the buttons, the window and the printer. */

const data = JSON.parse(document.getElementById('data')!.textContent) as PageData;
const timeAxis = new TimeAxis(data.duration);
const [labels, rangeText, cameras, events, joints] = ['axis', 'range', 'cameras', 'events', 'joints'].map((id) =>
  document.getElementById(id)!,
);

timeAxis.plot(labels!, 4, {
  hasLabels: true,
  hooks: {
    setScale: [
      ({ scales }) => {
        const { min = 0, max = 0 } = scales.x!;
        const step = (max - min) / 100;
        rangeText!.textContent = `${formatTime(min, step, max >= 60)} to ${formatTime(max, step)}`;
      },
    ],
  },
});
for (const camera of data.cameras) addCameraStrip(timeAxis, camera, cameras!);
for (const row of data.events) addEventRow(timeAxis, row, events!);
for (const [column, joint] of data.joints.entries()) addJointPlot(timeAxis, joint, data.chunks, column, joints!);
for (const [index, figure] of document.querySelectorAll<HTMLElement>('figure.histogram').entries()) {
  addHistogram(figure, data.histograms[index]!);
}

const buttons: Readonly<Record<string, () => void>> = {
  all: () => timeAxis.showAll(),
  in: () => timeAxis.zoom(0.5, 0),
  out: () => timeAxis.zoom(2, 0),
  earlier: () => timeAxis.zoom(1, -0.5),
  later: () => timeAxis.zoom(1, 0.5),
};
for (const button of document.querySelectorAll<HTMLButtonElement>('#time button')) {
  button.addEventListener('click', () => buttons[button.value]?.());
}
addEventListener('beforeprint', () => setPrinting(true));
addEventListener('afterprint', () => setPrinting(false));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawAll);
new ResizeObserver(redrawAll).observe(labels!);
