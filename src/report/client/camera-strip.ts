/// <reference lib="dom" />
import type UPlot from 'uplot';
import { formatTime } from '../format.js';
import type { CameraStrip } from '../data.js';
import { addFigure, addTip, nearest } from './figure.js';
import { color, paint } from './plot.js';
import type { TimeAxis } from './time-axis.js';

const IMAGE_HEIGHT = 72;
/** From the mark at a frame's time to its image, CSS pixels. */
const IMAGE_TOP = 6;

interface LoadedFrame {
  readonly time: number;
  readonly image: HTMLImageElement;
}

/** A camera's frames on the time axis, as many as fit side by side. The tip shows the frame nearest to the pointer. */
export function addCameraStrip(timeAxis: TimeAxis, camera: CameraStrip, parent: Element): void {
  const topic = camera.frames.length === 0 ? `${camera.topic} · no image to show` : camera.topic;
  const { box } = addFigure(parent, camera.name, `${topic} · ${camera.messages} messages`);
  const frames = camera.frames.map(({ time, source }): LoadedFrame => ({ time, image: imageOf(source) }));
  const draw = (plot: UPlot): void => paint(plot, (context) => drawFrames(plot, context, frames));
  const plot = timeAxis.plot(box, IMAGE_TOP + IMAGE_HEIGHT + 2, { hooks: { draw: [draw] } });
  void Promise.allSettled(frames.map(({ image }) => image.decode())).then(() => plot.redraw());
  addTip(plot, (x) => {
    const frame = nearest(camera.frames, ({ time }) => Math.abs(plot.valToPos(time, 'x') - x));
    return frame && [imageOf(frame.source), `${camera.name} at ${formatTime(frame.time, 0.01)}`];
  });
}

function imageOf(source: string): HTMLImageElement {
  const image = new Image();
  image.src = source;
  return image;
}

/** Divides the strip into cells and draws in each cell the frame nearest to its middle, unless that is in another cell. */
function drawFrames(plot: UPlot, context: CanvasRenderingContext2D, frames: readonly LoadedFrame[]): void {
  const { naturalWidth = 0, naturalHeight = 0 } = frames[0]?.image ?? {};
  const imageWidth = IMAGE_HEIGHT * (naturalHeight > 0 ? naturalWidth / naturalHeight : 4 / 3);
  const stripWidth = plot.over.clientWidth;
  const cells = Math.max(1, Math.floor(stripWidth / (imageWidth + 2)));
  const cellWidth = stripWidth / cells;
  context.strokeStyle = color('soft');
  for (let cell = 0; cell < cells; cell++) {
    const middle = (cell + 0.5) * cellWidth;
    const frame = nearest(frames, ({ time }) => Math.abs(plot.valToPos(time, 'x') - middle));
    if (frame === undefined || !frame.image.complete || frame.image.naturalWidth === 0) continue;
    const x = plot.valToPos(frame.time, 'x');
    if (Math.abs(x - middle) > cellWidth / 2 + 1) continue;
    context.drawImage(frame.image, middle - imageWidth / 2, IMAGE_TOP, imageWidth, IMAGE_HEIGHT);
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, IMAGE_TOP - 1);
    context.stroke();
  }
}
