import { readFileSync } from 'node:fs';
import type { PolicyConfig } from '../config/config.js';
import { percentile } from '../statistics.js';
import { formatTime, formatNumber } from './format.js';
import type { Evaluation, PageData, ReportData } from './data.js';
import { histogram } from './histogram.js';
import { Html, html, json } from './html.js';
import { STYLE } from './style.js';
import { eventTable, evaluationSection } from './tables.js';

/** What the report's head says beside what the collector has seen. */
export interface ReportSummary {
  /** The bag and the parameter file, as they were named. */
  readonly bag: string;
  readonly params: string;
  /** Where the checkpoint lies and what it is, as far as known. */
  readonly checkpoint: string;
  readonly observations: number;
  /** Why only part of the bag was replayed, one sentence. */
  readonly damage?: string | undefined;
  /** What else is to be said of the bag. */
  readonly notes?: readonly string[];
}

/** The page may load nothing: what it shows is in it. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** Before this a bag's clock is a simulation's, s (2001). */
const FIRST_DATE = 1e9;

/** The whole report as one HTML text. */
export function renderReport(
  config: PolicyConfig,
  data: ReportData,
  evaluation: Evaluation,
  summary: ReportSummary,
): string {
  const { duration, cameras, joints, chunks, events, inferenceMs, latencyMs } = data;
  const drawn: PageData = { duration, cameras, joints, chunks, events };
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${new Html(POLICY)}" />
        <title>Replay of ${summary.bag}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <header>
          <h1>Replay of ${summary.bag}</h1>
          ${summary.damage === undefined ? '' : html`<p class="banner">${summary.damage}</p>`}
          ${facts(config, data, summary)} ${cards(data, evaluation, summary)}
        </header>
        <main>
          <h2>Over time</h2>
          ${timeSection(data)}
          <h2>Refusals and faults</h2>
          ${eventTable(events)}
          <h2>Latency</h2>
          <div class="pair">
            ${histogram('Inference', inferenceMs)}${histogram('From stamp to chunk, in the time of the bag', latencyMs)}
          </div>
          <h2>Predicted against recorded actions (open loop)</h2>
          ${evaluationSection(evaluation)}
        </main>
        <script type="application/json" id="data">
          ${json(drawn)}
        </script>
        <script type="module">
          ${script()};
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

function cards(data: ReportData, { groups }: Evaluation, { observations }: ReportSummary): Html {
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
    ...groups.flatMap(({ group, overall }): [string, string][] =>
      overall.mae === null ? [] : [[`${group} error, mean absolute`, formatNumber(overall.mae)]],
    ),
  ];
  return html`<ul class="cards">
    ${tiles.map(([name, value]) => html`<li><b>${value}</b><span>${name}</span></li>`)}
  </ul>`;
}

function timeSection({ chunks, chunkCount, events, joints }: ReportData): Html {
  const swatch = (kind: string): Html => html`<svg width="34" height="10"><path class="${kind}" d="M0 5H34" /></svg>`;
  const none = joints.every(({ recorded }) => recorded.length === 0) ? ' (none in the bag)' : '';
  const thinned = chunks.length < chunkCount ? `, ${chunks.length} of ${chunkCount} drawn` : '';
  return html`<noscript
      ><p class="banner">
        What lies on the time axis is drawn by a script in this page, which is switched off here.
      </p></noscript
    >
    <div id="time">
      <div class="toolbar">
        <p>
          <button value="all">all</button><button value="in" title="half as long">+</button
          ><button value="out" title="twice as long">−</button><button value="earlier" title="earlier">◀</button
          ><button value="later" title="later">▶</button> <span id="range"></span
          ><span class="hint">drag to zoom, double click for all</span>
        </p>
        <svg id="axis"></svg>
      </div>
      <div id="cameras"></div>
      <h3>Events</h3>
      ${events.length === 0 ? html`<p class="note">None.</p>` : ''}
      <div id="events"></div>
      <h3>Action joints</h3>
      <ul class="legend">
        <li>${swatch('measured')}measured (joint states)</li>
        <li>${swatch('recorded')}recorded action${none}</li>
        <li>${swatch('predicted')}predicted chunks, each from its stamp on${thinned}</li>
      </ul>
      <div id="joints"></div>
      <div class="cursor" hidden></div>
      <div class="selection" hidden></div>
      <div class="tip" hidden></div>
    </div>`;
}

/** The compiled script with what it imports before it. */
function script(): Html {
  const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
  const text = `${read('./format.js')}\n${read('./client.js')}`;
  return new Html(text.replaceAll(/^import .*$|^export (?=function|const)|^\/\/# sourceMappingURL=.*$/gm, ''));
}
