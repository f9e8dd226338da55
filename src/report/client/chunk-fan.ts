/// <reference lib="dom" />
import type UPlot from 'uplot';
import type { PageData, Point } from '../data.js';

/** Dots at the starts of chunks are drawn where a chunk has at least this much space, CSS pixels. */
const MIN_DOT_SPACE = 8;

/**
 * The predicted chunks of one joint. They overlap in time, so they cannot be columns of uPlot's data: they are one series
 * whose data are the starts of the chunks and whose path is built here. Values hold until the next one.
 */
export class ChunkFan {
  /** The points of each chunk in the order of the stamps; the last value holds for one period. */
  readonly #chunks: readonly (readonly Point[])[];

  constructor(chunks: PageData['chunks'], joint: number) {
    this.#chunks = chunks.flatMap(({ stamp, period, values }): Point[][] => {
      const points = values[joint]!.flatMap((value, row): Point[] =>
        value === null ? [] : [[stamp + row * period, value]],
      );
      const last = points.at(-1);
      return last === undefined ? [] : [[...points, [last[0] + period, last[1]]]];
    });
  }

  /** The first point of each chunk. */
  get starts(): Point[] {
    return this.#chunks.map(([first]) => first!);
  }

  /** The values of the chunks that overlap the interval, s. */
  valuesBetween(from: number, to: number): number[] {
    return this.#between(from, to).flatMap((points) => points.map(([, value]) => value));
  }

  showsDots(plot: UPlot): boolean {
    return plot.over.clientWidth >= MIN_DOT_SPACE * this.#visible(plot).length;
  }

  /** uPlot's path of the series. */
  path(plot: UPlot): UPlot.Series.Paths {
    const lines = this.#visible(plot).map((points) => steppedLine(plot, points));
    return { stroke: new Path2D(lines.join('')) };
  }

  /** The newest chunk at `time`; empty where there is none. */
  chunkAt(time: number): readonly Point[] {
    const chunk = this.#chunks.findLast((points) => points[0]![0] <= time);
    return chunk !== undefined && chunk.at(-1)![0] >= time ? chunk : [];
  }

  #visible({ scales }: UPlot): (readonly Point[])[] {
    const { min = 0, max = 0 } = scales.x!;
    return this.#between(min, max);
  }

  #between(from: number, to: number): (readonly Point[])[] {
    return this.#chunks.filter((points) => points[0]![0] <= to && points.at(-1)![0] >= from);
  }
}

/** @returns a function that draws a thick line through the given points over the plot. */
export function addHighlight(plot: UPlot): (points: readonly Point[]) => void {
  plot.over.insertAdjacentHTML('beforeend', '<svg><path class="highlight" /></svg>');
  const [image, path] = [plot.over.querySelector('svg')!, plot.over.querySelector('path')!];
  return (points) => {
    const { left, top, width, height } = plot.bbox;
    image.setAttribute('viewBox', `${left} ${top} ${width} ${height}`);
    path.setAttribute('d', steppedLine(plot, points));
  };
}

/** A line whose values hold until the next point, as an SVG path in canvas pixels. */
function steppedLine(plot: UPlot, points: readonly Point[]): string {
  return points
    .map(([time, value], index) => {
      const [x, y] = [plot.valToPos(time, 'x', true).toFixed(1), plot.valToPos(value, 'y', true).toFixed(1)];
      return index === 0 ? `M${x} ${y}` : `H${x}V${y}`;
    })
    .join('');
}
