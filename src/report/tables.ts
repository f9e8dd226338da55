import { formatTime, formatNumber } from './format.js';
import type { ErrorSummary, Evaluation, EventRow, JointEvaluation, SeamResult } from './data.js';
import { Html, html, type Part } from './html.js';

/** Heat maps of longer chunks have no space for numbers. */
const NUMBERED_STEPS = 20;

/** A table of refusals and faults: one row per code, with the first sentence. */
export function eventTable(events: readonly EventRow[]): Html {
  const issues = events.filter(({ kind }) => kind !== 'command');
  if (issues.length === 0) return html`<p>No refusals and no faults.</p>`;
  const rows = issues.map(
    ({ code, kind, count, first, last, marks }) =>
      html`<tr>
        <th scope="row">${code}</th>
        <td>${kind}</td>
        <td class="n">${count}</td>
        <td class="n">${formatTime(first, 0.01)}</td>
        <td class="n">${formatTime(last, 0.01)}</td>
        <td class="sentence">${marks[0]?.text ?? ''}</td>
      </tr>`,
  );
  const head = html`<th>code</th>
    <th>kind</th>
    <th class="n">count</th>
    <th class="n">first</th>
    <th class="n">last</th>
    <th>first sentence</th>`;
  return table(head, rows);
}

/** The seams between chunks, and the jerk of the commands. */
export function seamTable({ count, jump, largest, disagreement, jerk, idle_steps }: SeamResult): Html {
  if (count === 0) return html`<p>No chunk continued another.</p>`;
  const rows = Object.entries({ jump, disagreement }).map(
    ([name, { p50, p95, p99, max }]) =>
      html`<tr>
        <th scope="row">${name}</th>
        ${[p50, p95, p99, max].map((value) => html`<td class="n">${number(value)}</td>`)}
      </tr>`,
  );
  const head = html`<th>${count} seams</th>
    <th class="n">p50</th>
    <th class="n">p95</th>
    <th class="n">p99</th>
    <th class="n">max</th>`;
  return html`${table(head, rows)}
    <p class="note">
      Jump: from the last command to the first step of the new chunk, before the limits; 1 is what one control period
      allows. Largest: ${largest?.joint ?? '–'} at ${largest === null ? '–' : formatTime(largest.seconds, 0.01)}.
      Disagreement: of the new chunk with the one before about the same instants, in the same unit, root mean square.
      Jerk of the commands: root mean square ${number(jerk.rms)}, largest ${number(jerk.max)} (units of the robot per
      s³). Steps with nothing new: ${idle_steps}.
    </p>`;
}

/** A table that scrolls where it is too wide. @param head its th elements. @param rows its tr elements. */
function table(head: Part, rows: readonly Html[], className = ''): Html {
  return html`<div class="scroll">
    <table class="${className}">
      <thead>
        <tr>
          ${head}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

/** The errors of the predicted actions: a table by joint and a heat map by step. */
export function evaluationSection(evaluation: Evaluation): Html {
  const { compared, uncompared, problem, method } = evaluation;
  const banner = problem === null ? '' : html`<p class="banner">${problem}.</p>`;
  if (compared === 0)
    return html`${banner}
      <p class="note">${method}</p>`;
  return html`${banner}
    <p>${compared} predicted values are compared with recorded ones; ${uncompared} have none to compare with.</p>
    ${errorTable(evaluation)}
    <h3>Mean absolute error by step of the chunk</h3>
    ${heatMap(evaluation.joints)}
    <p class="note">
      ${method} Errors are in the units of the joint (rad or m; per second for velocities). Grippers are a separate
      group. Colour: the error as a share of the range of the joint's recorded values.
    </p>`;
}

function errorTable({ groups, joints }: Evaluation): Html {
  const cells = ({ count, mae, rmse, max }: ErrorSummary): Html =>
    html`<td class="n">${number(mae)}</td>
      <td class="n">${number(rmse)}</td>
      <td class="n">${number(max)}</td>
      <td class="n">${count}</td>`;
  const jointRows = joints.map(
    ({ joint, quantity, range, overall }) =>
      html`<tr>
        <th scope="row">${joint}</th>
        <td>${quantity}</td>
        ${cells(overall)}
        <td class="n">${range === null ? '–' : `${formatNumber(range[0])} … ${formatNumber(range[1])}`}</td>
        <td class="n">${percent(share(overall.mae, range))}</td>
      </tr>`,
  );
  const groupRows = groups.map(
    ({ group, overall }) =>
      html`<tr class="total">
        <th scope="row">
          all ${group === 'gripper' ? 'grippers' : `${group === 'position' ? 'positions' : 'velocities'}`}
        </th>
        <td></td>
        ${cells(overall)}
        <td></td>
        <td></td>
      </tr>`,
  );
  const head = html`<th>joint</th>
    <th>compared as</th>
    <th class="n">MAE</th>
    <th class="n">RMSE</th>
    <th class="n">max</th>
    <th class="n">values</th>
    <th class="n">recorded range</th>
    <th class="n">MAE / range</th>`;
  return table(head, [...jointRows, ...groupRows]);
}

function heatMap(joints: readonly JointEvaluation[]): Html {
  const count = Math.max(...joints.map(({ steps }) => steps.length));
  const numbered = count <= NUMBERED_STEPS;
  const shares = joints.flatMap(({ steps, range }) => steps.map(({ mae }) => share(mae, range) ?? 0));
  const most = Math.min(1, Math.max(...shares)) || 1;
  const head = Array.from(
    { length: count },
    (_, step) => html`<th class="n">${numbered || step % 5 === 0 ? step : ''}</th>`,
  );
  const rows = joints.map(({ joint, steps, range }) => {
    const cells = Array.from({ length: count }, (_, step) => {
      const { mae = null, rmse = null, max = null, count = 0 } = steps[step] ?? {};
      const rangeShare = share(mae, range);
      const level = Math.min(1, (rangeShare ?? 0) / most);
      const hint = `${joint}, step ${step}: MAE ${number(mae)}, RMSE ${number(rmse)}, max ${number(max)}, ${percent(rangeShare)} of the range, ${count} values`;
      return html`<td
        class="n cell${level > 0.8 ? ' strong' : level > 0.55 ? ' middle' : ''}"
        style="--level:${(level * 100).toFixed(0)}%"
        title="${hint}"
      >
        ${numbered ? number(mae) : ''}
      </td>`;
    });
    return html`<tr>
      <th scope="row">${joint}</th>
      ${cells}
    </tr>`;
  });
  return html`${table([html`<th>joint \\ step</th>`, ...head], rows, 'heat')}
    <p class="scale">0 <span></span> ${percent(most)}${most === 1 ? ' and more' : ''} of the recorded range</p>`;
}

function share(mae: number | null, range: readonly [number, number] | null): number | undefined {
  return mae === null || range === null || range[1] === range[0] ? undefined : mae / (range[1] - range[0]);
}

function number(value: number | null): string {
  return value === null ? '–' : formatNumber(value);
}

function percent(value: number | undefined): string {
  return value === undefined ? '–' : `${formatNumber(value * 100)} %`;
}
