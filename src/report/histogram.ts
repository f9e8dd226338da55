import { percentile } from '../statistics.js';
import { formatNumber, ticks } from './format.js';
import { Html, html } from './html.js';

const WIDTH = 520;
const HEIGHT = 170;
const LEFT = 8;
const TOP = 48;
const BOTTOM = 24;
const BINS = 40;

/** A histogram of sorted samples in ms with p50, p95 and p99; what lies far beyond p99 is counted in the last bar. */
export function histogram(title: string, sorted: readonly number[]): Html {
  const [low, high] = [sorted[0], sorted.at(-1)];
  if (low === undefined || high === undefined)
    return html`<figure>
      <figcaption><b>${title}</b> no chunks</figcaption>
    </figure>`;
  const p99 = percentile(sorted, 0.99)!;
  const cut = high - low > 2 * (p99 - low) && p99 > low;
  const from = low === high ? low - 0.5 : low;
  const to = low === high ? high + 0.5 : cut ? low + 1.25 * (p99 - low) : high;
  const counts = new Array<number>(BINS).fill(0);
  for (const value of sorted) counts[Math.min(BINS - 1, Math.floor(((value - from) / (to - from)) * BINS))]!++;
  const most = Math.max(...counts);
  const x = (value: number): number => LEFT + ((value - from) / (to - from)) * (WIDTH - 2 * LEFT);
  const floor = HEIGHT - BOTTOM;
  const bar = (WIDTH - 2 * LEFT) / BINS;
  const bars = counts.map((count, bin) => {
    const tall = (count / most) * (floor - TOP);
    const edge = (index: number): string => formatNumber(from + ((to - from) * index) / BINS);
    const beyond = cut && bin === BINS - 1 ? `${edge(bin)} ms and more` : `${edge(bin)} to ${edge(bin + 1)} ms`;
    return html`<rect
      class="bar"
      x="${(LEFT + bin * bar + 0.5).toFixed(1)}"
      y="${(floor - tall).toFixed(1)}"
      width="${(bar - 1).toFixed(1)}"
      height="${tall.toFixed(1)}"
      ><title>${beyond}: ${count}</title></rect
    >`;
  });
  const marks = [0.5, 0.95, 0.99].map((p, index) => {
    const value = percentile(sorted, p)!;
    const [at, y] = [x(value), 12 + index * 14];
    const side = at > WIDTH / 2 ? html`x="${(at - 4).toFixed(1)}" text-anchor="end"` : html`x="${(at + 4).toFixed(1)}"`;
    return html`<path class="mark" d="M${at.toFixed(1)} ${y - 8}V${floor}" /><text ${side} y="${y}"
        >p${p * 100} ${formatNumber(value)} ms</text
      >`;
  });
  const labels = ticks(from, to, 5).map(
    (value) => html`<text class="x" x="${x(value).toFixed(1)}" y="${HEIGHT - 8}">${formatNumber(value)}</text>`,
  );
  return html`<figure>
    <figcaption>
      <b>${title}</b> ms, ${sorted.length} chunks${cut ? `, up to ${formatNumber(high)} ms in the last bar` : ''}
    </figcaption>
    <svg class="histogram" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
      <path class="grid" d="M${LEFT} ${floor}H${WIDTH - LEFT}" />
      ${bars}${marks}${labels}
    </svg>
  </figure>`;
}
