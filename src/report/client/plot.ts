/// <reference lib="dom" />
import type UPlot from 'uplot';

/** uPlot charts in the colours of the style sheet, each as wide as the element that contains it. */

declare const uPlot: typeof UPlot;

const FONT = '12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const plots: UPlot[] = [];

/** A colour of the style sheet, which depends on dark mode and print. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
}

/** An axis in the colours of the page. */
export function axis(options: UPlot.Axis): UPlot.Axis {
  const grid = { stroke: () => color('rule'), width: 1, ...options.grid };
  return { stroke: () => color('soft'), font: FONT, gap: 4, ticks: { show: false }, ...options, grid };
}

/** A legend in `parent` with the values under the cursor. A series' class is the name of its colour. */
export function legend(parent: Element, series: readonly UPlot.Series[] = []): UPlot.Legend {
  const fill = (_: UPlot, index: number): string => `var(--${series[index - 1]?.class})`;
  return {
    show: true,
    mount: (_, table) => parent.append(table),
    markers: { show: series.length > 0, width: 0, fill },
  };
}

export function createPlot(
  parent: HTMLElement,
  options: Omit<UPlot.Options, 'width'>,
  values: UPlot.AlignedData,
): UPlot {
  const plot = new uPlot({ legend: { show: false }, ...options, width: parent.clientWidth }, values, parent);
  plots.push(plot);
  return plot;
}

/** Draws all charts again in the current colours and widths. */
export function redrawAll(): void {
  for (const plot of plots) {
    const size = { width: plot.root.parentElement!.clientWidth, height: plot.height };
    // At once: a page is printed when the listeners of `beforeprint` have returned.
    plot.batch(() => plot.setSize(size));
  }
}

/** On paper the page has its light colours and a fixed width. */
export function setPrinting(isPrinting: boolean): void {
  document.documentElement.classList.toggle('printing', isPrinting);
  redrawAll();
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
