import { formatValue, numberDescription } from './parameters.js';
import { type Declaration, type Pattern, SCHEMA } from './schema.js';

const HEAD = `# Parameters

All parameters of \`policy_node\`. This page is generated from \`src/config/schema.ts\` by \`npm run docs\`.

- The types are ROS types: a double is written with a decimal point (\`15.0\`), an integer without one.
- A parameter without a default must be given. Optional parameters have the default *absent*.
- Parameters are read-only while the node runs, except those marked *live*.
- \`<camera>\`, \`<joint>\`, \`<output>\` and \`<plane>\` are placeholders for the names in \`cameras.names\`, \`state.joints\`,
  \`action.joints\`, \`outputs.names\` and \`safety.keep_out_planes.names\`.
- The unit *joint's own* is rad or m for a position, rad/s or m/s for a velocity, N m or N for an effort.
- Parameters are checked together when the node starts. All problems are reported at once; [errors.md](errors.md) explains
  their codes.
`;

/** The parameter reference in Markdown. */
export function parameterReference(): string {
  const sections = new Map<string, Pattern[]>();
  for (const pattern of Object.keys(SCHEMA) as Pattern[]) {
    const [first = '', ...rest] = pattern.split('.');
    const section = rest.length === 0 ? 'node' : first;
    sections.set(section, [...(sections.get(section) ?? []), pattern]);
  }
  return [HEAD, ...[...sections].map(([name, patterns]) => table(name, patterns))].join('\n');
}

function table(section: string, patterns: readonly Pattern[]): string {
  const rows = patterns.map((pattern) => {
    const declaration: Declaration = SCHEMA[pattern];
    const { type, unit = '', doc, live } = declaration;
    const text = doc.replaceAll('<', '\\<');
    const meaning = live === undefined ? text : `${text} *live*`;
    const cells = [
      `\`${pattern}\``,
      type.replace('_', ' '),
      unit,
      defaultText(declaration),
      legalValues(declaration),
      meaning,
    ];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [`## ${section}`, '', '| name | type | unit | default | legal | meaning |', RULE, ...rows, ''].join('\n');
}

const RULE = '|---|---|---|---|---|---|';

function defaultText({ default: value, optional }: Declaration): string {
  if (value === undefined) return optional === undefined ? '' : 'absent';
  return `\`${formatValue(value)}\``;
}

function legalValues(declaration: Declaration): string {
  const { type, choices, nonEmpty, nonZero, min, max, above } = declaration;
  if (choices !== undefined) return choices.map((choice) => `\`${String(choice)}\``).join(', ');
  if (nonEmpty !== undefined) return 'not empty';
  const limited = [nonZero, min, max, above].some((limit) => limit !== undefined);
  return (type === 'integer' || type === 'double') && limited ? numberDescription(declaration) : '';
}
