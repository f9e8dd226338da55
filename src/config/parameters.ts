import type { PolicyConfig } from './config.js';
import { buildConfig } from './build.js';
import { replaceDeprecated } from './deprecated.js';
import { Problems } from './problems.js';
import { checkRules } from './rules.js';
import {
  allParameters,
  type Declaration,
  type Parameter,
  type ParameterType,
  type ParameterValue,
  type Pattern,
  parameterName,
  type Value,
} from './schema.js';
import { checkUnknown } from './unknown.js';

/** The declaration of a parameter to ROS. */
export interface ParameterDescriptor {
  readonly name: string;
  readonly type: ParameterType;
  /** Absent = no default: the parameter must be given, or it is optional. */
  readonly default?: ParameterValue;
  readonly description: string;
  readonly readOnly: boolean;
  /** Closed range of legal numbers; absent = no range. */
  readonly range?: { readonly from: number; readonly to: number };
}

/**
 * The parameters to declare, for the cameras, joints and outputs that `overrides` (parameter values by full name) lists.
 * Optional parameters are declared only where they are given.
 */
export function parameterDescriptors(overrides: ReadonlyMap<string, unknown>): ParameterDescriptor[] {
  return allParameters(overrides)
    .filter(({ name, declaration }) => declaration.optional === undefined || overrides.has(name))
    .map(({ name, declaration }) => ({
      name,
      type: declaration.type,
      ...(declaration.default === undefined ? {} : { default: declaration.default }),
      description: description(declaration),
      readOnly: declaration.live === undefined,
      ...descriptorRange(declaration),
    }));
}

/** ROS has closed ranges only. An open lower limit is declared as closed; `configFromParameters` rejects the limit itself. */
function descriptorRange({ type, min, above, max }: Declaration): Pick<ParameterDescriptor, 'range'> {
  const from = min ?? above;
  if (from === undefined && max === undefined) return {};
  const end = type === 'integer' ? Number.MAX_SAFE_INTEGER : Infinity;
  return { range: { from: from ?? -end, to: max ?? end } };
}

/**
 * The configuration that a flat map of parameters describes; integers are bigints and doubles are numbers, as ROS types
 * them.
 * @param where says where a parameter was given: a file and line. @param warn gets a sentence for each deprecated value.
 * @throws ProblemsError with every problem.
 */
export function configFromParameters(
  given: ReadonlyMap<string, unknown>,
  where: (name: string) => string | undefined = () => undefined,
  warn: (sentence: string) => void = () => {},
): PolicyConfig {
  const problems = new Problems();
  const place = (name: string): string => {
    const known = where(name);
    return known === undefined ? '' : ` in ${known}`;
  };
  const flat = replaceDeprecated(given, warn, place);
  const parameters = allParameters(flat);
  const values = new Map<string, ParameterValue | undefined>();
  for (const parameter of parameters) {
    values.set(parameter.name, checkedValue(parameter, flat.get(parameter.name), problems, place));
  }
  checkUnknown(flat, parameters, problems, place);
  const config = buildConfig(<P extends Pattern>(pattern: P, member?: string) => {
    return values.get(parameterName(pattern, member)) as Value<P>;
  });
  checkRules(config, problems);
  problems.throwIfAny();
  return config;
}

/** The value, or a placeholder of the right type where a problem was added. */
function checkedValue(
  { name, declaration }: Parameter,
  given: unknown,
  problems: Problems,
  place: (name: string) => string,
): ParameterValue | undefined {
  if (given === undefined || given === null) {
    if (declaration.default !== undefined) return declaration.default;
    if (declaration.optional !== undefined) return undefined;
    problems.add('CONFIG_TYPE', `Expected ${typeName(declaration.type)} for ${name}, received nothing`, name);
    return PLACEHOLDER[declaration.type];
  }
  const received = typeof given === 'object' && 'length' in given ? Array.from(given as ArrayLike<unknown>) : given;
  if (!hasType(received, declaration.type)) {
    problems.add(
      'CONFIG_TYPE',
      `Expected ${typeName(declaration.type)} for ${name}, received ${describeValue(received)}` +
        `${remedy(received, declaration.type)}${place(name)}`,
      name,
    );
    return PLACEHOLDER[declaration.type];
  }
  const expected = expectedRange(received, declaration);
  if (expected !== undefined) {
    problems.add(
      'CONFIG_RANGE',
      `Expected ${expected} for ${name}, received ${formatValue(received)}${place(name)}`,
      name,
    );
    return PLACEHOLDER[declaration.type];
  }
  return received;
}

const PLACEHOLDER: Readonly<Record<ParameterType, ParameterValue>> = {
  bool: false,
  integer: 0n,
  double: 0,
  string: '',
  double_array: [],
  string_array: [],
};

function hasType(value: unknown, type: ParameterType): value is ParameterValue {
  switch (type) {
    case 'bool':
      return typeof value === 'boolean';
    case 'integer':
      return typeof value === 'bigint';
    case 'double':
      return typeof value === 'number';
    case 'string':
      return typeof value === 'string';
    case 'double_array':
      return Array.isArray(value) && value.every((item) => typeof item === 'number');
    case 'string_array':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
  }
}

/** Describes the legal values where this one, which has the right type, is not legal; otherwise undefined. */
function expectedRange(value: ParameterValue, declaration: Declaration): string | undefined {
  const { min, max, above, choices, unit } = declaration;
  if (choices !== undefined && !Array.isArray(value) && !choices.some((choice) => choice === value)) {
    return `one of ${choices.join(', ')}`;
  }
  if (typeof value === 'number' || typeof value === 'bigint') {
    const number = Number(value);
    const inside =
      !Number.isNaN(number) &&
      number >= (min ?? -Infinity) &&
      number <= (max ?? Infinity) &&
      (above === undefined || number > above) &&
      (declaration.nonZero === undefined || number !== 0) &&
      Number.isFinite(number);
    if (inside) return undefined;
    return `${numberDescription(declaration)}${unit === undefined ? '' : ` (${unit})`}`;
  }
  if (declaration.nonEmpty !== undefined && value === '') return 'a text that is not empty';
  if (!Array.isArray(value)) return undefined;
  const items: readonly unknown[] = value;
  if (items.includes('')) return 'names that are not empty';
  const { length } = declaration;
  const numbers = items.every((item) => typeof item !== 'number' || Number.isFinite(item));
  if (numbers && (length === undefined || items.length === length)) return undefined;
  return `${length ?? ''} finite numbers${unit === undefined ? '' : ` (${unit})`}`.trimStart();
}

/** Describes the legal numbers. */
export function numberDescription(declaration: Declaration): string {
  const { min, max, above, nonZero } = declaration;
  if (nonZero !== undefined) return 'a finite number other than 0';
  const noun = declaration.type === 'double' && max === undefined ? 'a finite number' : 'a number';
  const limits = [
    ...(above === undefined ? [] : [`above ${String(above)}`]),
    ...(min === undefined ? [] : [`at least ${String(min)}`]),
    ...(max === undefined ? [] : [`at most ${String(max)}`]),
  ];
  return limits.length > 0 ? `${noun} ${limits.join(' and ')}` : 'a finite number';
}

function description(declaration: Declaration): string {
  const { doc, unit, choices } = declaration;
  const limits = [declaration.min, declaration.max, declaration.above, declaration.nonZero].some(
    (limit) => limit !== undefined,
  );
  return [
    doc,
    ...(choices === undefined ? [] : [`One of ${choices.join(', ')}.`]),
    ...(limits ? [`Must be ${numberDescription(declaration)}.`] : []),
    ...(unit === undefined ? [] : [`Unit: ${unit}.`]),
  ].join(' ');
}

function typeName(type: ParameterType): string {
  const names = {
    bool: 'a boolean',
    integer: 'an integer',
    double: 'a double',
    string: 'a string',
    double_array: 'a list of doubles',
    string_array: 'a list of strings',
  } as const;
  return names[type];
}

function describeValue(value: unknown): string {
  if (typeof value === 'bigint') return `the integer ${String(value)}`;
  if (typeof value === 'number') return `the double ${formatValue(value)}`;
  if (typeof value === 'boolean') return `the boolean ${String(value)}`;
  if (typeof value === 'string') return `the string ${formatValue(value)}`;
  if (Array.isArray(value)) return `the list [${value.map(formatValue).join(', ')}]`;
  return `a value of type ${typeof value}`;
}

/** A value in the notation of parameter files. */
export function formatValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(formatValue).join(', ')}]`;
  if (typeof value !== 'number') return String(value);
  if (Number.isNaN(value)) return '.nan';
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf';
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toFixed(1) : String(value);
}

/** How to write the value that was probably meant. */
function remedy(value: unknown, type: ParameterType): string {
  if (type === 'double' && typeof value === 'bigint') return ` (write ${String(value)}.0)`;
  if (type === 'integer' && typeof value === 'number' && Number.isInteger(value)) return ` (write ${String(value)})`;
  if (type === 'string' && !Array.isArray(value)) return ' (write it in quotes)';
  if (type === 'double_array' && Array.isArray(value) && value.every((item) => typeof item === 'bigint')) {
    return ` (write [${value.map((item) => `${String(item)}.0`).join(', ')}])`;
  }
  if (type === 'string_array' && typeof value === 'string') return ` (write [${value}])`;
  return '';
}
