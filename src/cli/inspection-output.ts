import type { StatisticsReport, VectorReport } from '../policy/inspect.js';
import type { Fit, Inspection, ProblemReport } from './inspection.js';

const MAX_DETAILS = 12;

const RESIZE_NAMES = { pillow: 'Pillow', lerobot: 'LeRobot', 'lerobot_before_0.5': 'LeRobot before 0.5' } as const;

/** An inspection as text. */
export function inspectionOutput(inspection: Inspection): string {
  const { family, model, rtc, weights, memory, tokenizer, statistics } = inspection;
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ['Checkpoint', [inspection.directory, `${family.name}: ${family.reason}`]],
    [
      'Model',
      [
        `SigLIP ${tower(model.vision)}, prefix ${tower(model.prefix)}, action expert ${tower(model.expert)}`,
        `images ${model.imageSize} px in patches of ${model.patch}, resized as ${RESIZE_NAMES[model.resize]} does`,
        `slots ${model.slots.join(', ')}`,
        `${model.actionDim} actions, ${model.horizon > 0 ? `${model.horizon} steps a chunk` : 'an unknown number of steps a chunk'}, ${model.flowSteps} flow steps`,
        `prompts of up to ${model.maxTokens} tokens, ${stateText(model)}`,
      ],
    ],
    [
      'RTC',
      [rtc.trainedMaxDelay > 0 ? `trained for delays up to ${rtc.trainedMaxDelay} steps` : 'not trained for RTC'],
    ],
    [
      'Weights',
      [
        `${weights.parameters.toLocaleString('en-US')} parameters, ${bytes(weights.bytes)}`,
        ...Object.entries(weights.dtypes)
          .filter(([, { tensors }]) => tensors > 0)
          .map(([dtype, stored]) => `${dtype}: ${stored.tensors} tensors, ${bytes(stored.bytes)}`),
      ],
    ],
    ['Memory', [memory ? `about ${bytes(memory.cpu)} on a CPU, ${bytes(memory.cuda)} on a GPU` : 'unknown']],
    [
      'Tokenizer',
      [tokenizer === null ? 'none' : `${tokenizer.kind}, ids below ${tokenizer.vocab} of the model's ${model.vocab}`],
    ],
    [
      'Statistics',
      statistics.length === 0 ? ['none'] : statistics.flatMap((report) => statisticsLines(report, inspection.presets)),
    ],
    ['Fits', inspection.presets.flatMap(({ name, fits, reasons }) => fitLines(name, fits, reasons, inspection))],
    [
      'Problems',
      inspection.ok
        ? ['none']
        : inspection.problems.flatMap(({ code, message, details }) => [`${code}: ${message}`, ...detailLines(details)]),
    ],
  ];
  return sections.map(([title, lines]) => section(title, lines)).join('');
}

function stateText({ stateInPrompt, paddedState }: Inspection['model']): string {
  if (!stateInPrompt) return 'without the state';
  return paddedState > 0 ? `with the state in them, padded to ${paddedState} numbers` : 'with the state in them';
}

function section(title: string, lines: readonly string[]): string {
  return lines.map((line, i) => `${(i === 0 ? title : '').padEnd(11)} ${line}`.trimEnd() + '\n').join('');
}

function tower({ layers, width }: { readonly layers: number; readonly width: number }): string {
  return `${layers} × ${width}`;
}

function bytes(count: number): string {
  const [unit, size] = count >= 1e9 ? ['GB', 1e9] : count >= 1e6 ? ['MB', 1e6] : ['kB', 1e3];
  return `${(count / size).toFixed(count / size >= 100 ? 0 : 1)} ${unit}`;
}

/** The joint names come from the first preset that fits and uses these statistics. */
function statisticsLines({ assetId, state, actions }: StatisticsReport, presets: readonly Fit[]): string[] {
  const uses = ({ joints }: Fit): boolean => assetId === undefined || ['', assetId].includes(joints?.assetId ?? '?');
  const joints = presets.find((preset) => preset.fits && uses(preset))?.joints;
  return [
    ...(assetId === undefined ? [] : [`asset_id ${assetId}`]),
    ...vectorLines('state', state, joints?.state ?? []),
    ...vectorLines('actions', actions, joints?.actions ?? []),
  ];
}

/** A table with one row for each dimension. Consecutive dimensions without a joint name and with equal statistics share a row. */
function vectorLines(name: string, report: VectorReport | undefined, joints: readonly string[]): string[] {
  if (report === undefined) return [`${name}: none`];
  const columns = Object.entries(report.rows);
  const width = Math.max(5, ...joints.map((joint) => joint.length + 3));
  const normalisations = {
    quantile: 'normalised by q01 and q99',
    zscore: 'normalised by mean and std',
    identity: 'not normalised',
  };
  const table: { first: number; last: number; values: readonly string[] }[] = [];
  for (let i = 0; i < report.dimensions; i += 1) {
    const values = columns.map(([, row]) => number(row[i]));
    const previous = table.at(-1);
    if (previous !== undefined && i > joints.length && previous.values.join() === values.join()) previous.last = i;
    else table.push({ first: i, last: i, values });
  }
  const titles = columns.map(([title]) => title);
  return [
    `${name}: ${report.dimensions} numbers, ${normalisations[report.kind]}`,
    ...(titles.length === 0 ? [] : [row('', titles, width)]),
    ...table.map(({ first, last, values }) => row(rowTitle(first, last, joints), values, width)),
  ];
}

function rowTitle(first: number, last: number, joints: readonly string[]): string {
  const joint = joints[first];
  if (joint !== undefined) return `${String(first).padStart(2)} ${joint}`;
  return first === last ? String(first).padStart(2) : `${first}…${last}`;
}

function row(title: string, values: readonly string[], width: number): string {
  return `  ${title.padEnd(width)} ${values.map((value) => value.padStart(10)).join(' ')}`;
}

function number(value: number | undefined): string {
  if (value === undefined) return '';
  if (Number.isNaN(value) || Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5 ? value.toFixed(4) : value.toExponential(2);
}

function fitLines(name: string, fits: boolean, reasons: readonly ProblemReport[], { problems }: Inspection): string[] {
  if (fits) return [`${name}: yes`];
  const own = reasons.filter(({ message }) => !problems.some((problem) => problem.message === message));
  const shared = own.length < reasons.length ? ['  the problems below'] : [];
  return [`${name}: no`, ...own.map(({ message }) => `  ${message}`), ...shared];
}

function detailLines(details: readonly string[]): string[] {
  const shown = details.slice(0, MAX_DETAILS).map((detail) => `  ${detail}`);
  const left = details.length - shown.length;
  return left > 0 ? [...shown, `  and ${left} more (--json lists all)`] : shown;
}
