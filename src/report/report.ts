import type { PolicyConfig } from '../config/config.js';
import { percentile } from '../statistics.js';
import { formatTime, formatNumber } from './format.js';
import type { Evaluation, Histogram, PageData, ReportData, SeamResult } from './data.js';
import { histogram } from './histogram.js';
import { Html, html, json } from './html.js';
import { pageScript, pageStyle } from './page-assets.js';
import { eventTable, evaluationSection, seamTable } from './tables.js';

/** Facts for the head of the report that the collector does not have. */
export interface ReportSummary {
  /** Paths of the bag and the parameter file. */
  readonly bag: string;
  readonly params: string;
  /** Path of the checkpoint, and the backend. */
  readonly checkpoint: string;
  readonly observations: number;
  /** One sentence: why only part of the bag was replayed. */
  readonly damage?: string | undefined;
  /** Further sentences about the bag. */
  readonly notes?: readonly string[];
}

/** The page may not load anything: it is self-contained. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** Earlier times (before 2001) are those of a simulation, s. */
const FIRST_DATE = 1e9;

/** The report as one self-contained HTML page. */
export function renderReport(
  config: PolicyConfig,
  data: ReportData,
  evaluation: Evaluation,
  seams: SeamResult,
  summary: ReportSummary,
): string {
  const { duration, cameras, joints, chunks, events, inferenceMs, latencyMs } = data;
  const histograms = [histogram(inferenceMs), histogram(latencyMs)];
  const drawn: PageData = {
    duration,
    cameras,
    joints,
    chunks,
    events,
    histograms: histograms.filter((drawable) => drawable !== undefined),
  };
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${new Html(POLICY)}" />
        <title>Replay of ${summary.bag}</title>
        <style>
          ${pageStyle()}
        </style>
      </head>
      <body>
        <header>
          <h1>Replay of ${summary.bag}</h1>
          ${summary.damage === undefined ? '' : html`<p class="banner">${summary.damage}</p>`}
          ${facts(config, data, summary)} ${cards(data, evaluation, seams, summary)}
        </header>
        <main>
          <h2>Over time</h2>
          ${timeSection(data)}
          <h2>Refusals and faults</h2>
          ${eventTable(events)}
          <h2>Latency</h2>
          <div class="pair">
            ${histogramFigure('Inference', inferenceMs, histograms[0])}
            ${histogramFigure('From stamp to chunk, in the time of the bag', latencyMs, histograms[1])}
          </div>
          <h2>Seams between chunks</h2>
          ${seamTable(seams)}
          <h2>Predicted against recorded actions (open loop)</h2>
          ${evaluationSection(evaluation)}
          <div class="tip" hidden></div>
        </main>
        <script type="application/json" id="data">
          ${json(drawn)}
        </script>
        <script type="module">
          ${pageScript()};
        </script>
      </body>
    </html> `.text;
}

function facts(config: PolicyConfig, { start, duration, cameras }: ReportData, summary: ReportSummary): Html {
  const began =
    start < FIRST_DATE ? `at ${formatNumber(start)} s of simulated time` : new Date(start * 1000).toISOString();
  const { schedule, controlRate } = config;
  const rows: [string, string][] = [
    ['bag', summary.bag],
    ['recorded', `${began}, ${formatTime(duration, 0.1)}`],
    ['parameters', summary.params],
    ['checkpoint', summary.checkpoint],
    ['prompt', config.prompt === '' ? `from ${config.promptTopic}` : config.prompt],
    ['cameras', cameras.map(({ name, topic, messages }) => `${name} (${topic}, ${messages} messages)`).join(', ')],
    ...(summary.notes ?? []).map((note): [string, string] => ['note', note]),
    ['schedule', `${schedule.mode}, ${controlRate} Hz, a new chunk every ${schedule.replanSteps} steps`],
  ];
  return html`<dl>
    ${rows.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

function cards(
  data: ReportData,
  { groups }: Evaluation,
  { jump, idle_steps }: SeamResult,
  { observations }: ReportSummary,
): Html {
  const { chunkCount, commands, events, inferenceMs, latencyMs } = data;
  const count = (kind: string): number => events.reduce((sum, row) => sum + (row.kind === kind ? row.count : 0), 0);
  const times = (sorted: readonly number[]): string =>
    sorted.length === 0 ? '–' : [0.5, 0.95, 0.99].map((p) => formatNumber(percentile(sorted, p)!)).join(' / ');
  const tiles: [string, string | number][] = [
    ['observations', observations],
    ['chunks', chunkCount],
    ['commands: step / hold / stop', `${commands.step} / ${commands.hold} / ${commands.stop}`],
    ['refusals', count('refusal')],
    ['faults', count('fault')],
    ['inference p50 / p95 / p99, ms', times(inferenceMs)],
    ['latency p50 / p95 / p99, ms', times(latencyMs)],
    ['largest jump at a seam', jump.max === null ? '–' : formatNumber(jump.max)],
    ['idle steps', idle_steps],
    ...groups.flatMap(({ group, overall }): [string, string][] =>
      overall.mae === null ? [] : [[`${group} error, mean absolute`, formatNumber(overall.mae)]],
    ),
  ];
  return html`<ul class="cards">
    ${tiles.map(([name, value]) => html`<li><b>${value}</b><span>${name}</span></li>`)}
  </ul>`;
}

function timeSection({ chunks, chunkCount, events, joints }: ReportData): Html {
  const none = joints.every(({ recorded }) => recorded.length === 0) ? ' (none in the bag)' : '';
  const thinned = chunks.length < chunkCount ? `, ${chunks.length} of ${chunkCount} drawn` : '';
  return html`<noscript
      ><p class="banner">The charts are drawn by a script in this page, and scripts are disabled here.</p></noscript
    >
    <div id="time">
      <div class="toolbar">
        <p>
          <button value="all">all</button><button value="in" title="half as long">+</button
          ><button value="out" title="twice as long">−</button><button value="earlier" title="earlier">◀</button
          ><button value="later" title="later">▶</button> <span id="range"></span
          ><span class="hint">drag to zoom, double click for all</span>
        </p>
        <div id="axis"></div>
      </div>
      <div id="cameras"></div>
      <h3>Events</h3>
      ${events.length === 0 ? html`<p class="note">None.</p>` : ''}
      <div id="events"></div>
      <h3>Action joints</h3>
      <p class="note">
        The joint states (measured), the recorded action${none}, and the predicted chunks, each from its stamp
        on${thinned}.
      </p>
      <div id="joints"></div>
    </div>`;
}

/** The figure in which the script draws a histogram. */
function histogramFigure(title: string, sorted: readonly number[], drawn: Histogram | undefined): Html {
  if (drawn === undefined)
    return html`<figure>
      <figcaption><b>${title}</b> no chunks</figcaption>
    </figure>`;
  const overflow = drawn.overflow ? `, up to ${formatNumber(sorted.at(-1)!)} ms in the last bar` : '';
  return html`<figure class="histogram">
    <figcaption><b>${title}</b> ms, ${sorted.length} chunks${overflow}</figcaption>
  </figure>`;
}
