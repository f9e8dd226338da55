import {
  configFromParameters,
  type ParameterDescriptor as Declared,
  parameterDescriptors,
} from '../config/parameters.js';
import type { PolicyConfig } from '../config/config.js';
import { replaceDeprecated } from '../config/deprecated.js';
import { scalarFromText } from '../config/file.js';
import { Problems } from '../config/problems.js';
import type { ParameterType } from '../config/schema.js';
import { Pi05Error } from '../errors.js';
import {
  type LifecycleNode,
  type NodeOverrides,
  type Parameter,
  type ParameterDescriptor,
  PARAMETER_TYPE,
  type Rcl,
} from './rcl.js';

/** A parameter override for one node, as the command line and parameter files give it. */
export type Override = NodeOverrides['parameters'][number];

/**
 * The overrides that apply to a node, by parameter name. As in rclcpp, entries apply in the order of the command line
 * and the last one wins; a pattern's `*` stands for one part of the name and `**` for any number of parts. Beyond rclcpp,
 * a name without a slash means that node in any namespace, and `-p name:=value` wins over files that name the node
 * and has its own type: where a file gave the name with another type, rcl keeps both values and reads the file's.
 */
export function overridesFor(
  fullyQualifiedName: string,
  entries: readonly NodeOverrides[],
  argv: readonly string[] = [],
): Map<string, Override> {
  const result = new Map<string, Override>();
  for (const { name, parameters } of entries) {
    if (!matches(fullyQualifiedName, name)) continue;
    for (const parameter of parameters) result.set(parameter.name, parameter);
  }
  const given = parametersGiven(argv);
  for (const { name, parameters } of entries) {
    if (name !== '/**') continue;
    for (const parameter of parameters) {
      const text = given.get(parameter.name);
      if (text !== undefined) result.set(parameter.name, ofTheTypeGiven(parameter, text));
    }
  }
  return result;
}

/** What `-p name:=value` says, by name; rcl files it under `/**`. */
function parametersGiven(argv: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (const [index, argument] of argv.entries()) {
    const rule = ['-p', '--param'].includes(argument) ? argv[index + 1] : undefined;
    const [, name, text] = /^([^:]+):=(.*)$/s.exec(rule ?? '') ?? [];
    if (name !== undefined && text !== undefined) given.set(name, text);
  }
  return given;
}

function ofTheTypeGiven(parameter: Override, text: string): Override {
  const value = scalarFromText(text);
  if (value === undefined) return parameter;
  const { bool, integer, double, string } = PARAMETER_TYPE;
  const types: Readonly<Record<string, number>> = { boolean: bool, bigint: integer, number: double, string };
  const type = types[typeof value] ?? parameter.type;
  return type === parameter.type ? parameter : { name: parameter.name, type, value };
}

function matches(fullyQualifiedName: string, pattern: string): boolean {
  if (!pattern.startsWith('/')) pattern = `/**/${pattern}`;
  const expression = pattern
    .split('/')
    .slice(1)
    .map((part) => (part === '**' ? '(?:/\\w+)*' : `/${part.replace(/\*/g, '\\w+')}`))
    .join('');
  return new RegExp(`^${expression}$`).test(fullyQualifiedName);
}

/**
 * The values of ROS parameters as the configuration takes them.
 * @throws Pi05Error CONFIG_RANGE for an integer that rclnodejs already rounded
 */
export function plainValues(overrides: Iterable<Parameter | Override>): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const { name, type, value } of overrides) {
    if (value === undefined || value === null) continue;
    if (type !== PARAMETER_TYPE.integer && type !== PARAMETER_TYPE.integer_array) {
      values.set(name, value);
      continue;
    }
    const integer = (number: unknown): bigint => {
      if (typeof number === 'bigint') number = Number(number);
      if (typeof number !== 'number' || !Number.isSafeInteger(number)) {
        throw new Pi05Error(
          'CONFIG_RANGE',
          `Expected an integer of at most ${Number.MAX_SAFE_INTEGER} in size for ${name}, received ${String(number)}`,
          name,
        );
      }
      return BigInt(number);
    };
    values.set(name, Array.isArray(value) ? value.map(integer) : integer(value));
  }
  return values;
}

const TYPE_OF: Readonly<Record<ParameterType, number>> = {
  bool: PARAMETER_TYPE.bool,
  integer: PARAMETER_TYPE.integer,
  double: PARAMETER_TYPE.double,
  string: PARAMETER_TYPE.string,
  string_array: PARAMETER_TYPE.string_array,
};

/**
 * Checks the node's parameters and declares every one with its descriptor.
 * @param warn gets a sentence for each deprecated value. @throws Pi05Error CONFIG_*, one sentence a line
 */
export function declareParameters(rcl: Rcl, node: LifecycleNode, warn: (sentence: string) => void): PolicyConfig {
  const overrides = replaceDeprecated(plainValues(node.getParameterOverrides()), warn);
  const config = checked(overrides, node.getFullyQualifiedName());
  for (const declared of parameterDescriptors(overrides)) {
    const value = overrides.get(declared.name) ?? declared.default;
    if (value === undefined) continue;
    const type = TYPE_OF[declared.type];
    node.declareParameter(new rcl.Parameter(declared.name, type, value), descriptor(rcl, declared, type), true);
  }
  return config;
}

/** The configuration; where no robot is described at all, the sentence that helps comes first. */
function checked(overrides: ReadonlyMap<string, unknown>, node: string): PolicyConfig {
  const problems = new Problems();
  if (!overrides.has('cameras.names') && !overrides.has('action.joints')) {
    const remedy = 'give --ros-args --params-file FILE, such as configs/pi05_droid.yaml';
    problems.add('CONFIG_FILE', `Expected a robot's parameters for ${node}, received none: ${remedy}`, '--params-file');
  }
  try {
    return configFromParameters(overrides);
  } catch (error) {
    problems.addError(error);
    problems.throwIfAny();
    throw error;
  }
}

/** rclnodejs's own descriptor loses its range on the way to `describe_parameters`. */
function descriptor(rcl: Rcl, declared: Declared, type: number): ParameterDescriptor {
  const { range } = declared;
  const result = new rcl.ParameterDescriptor(declared.name, type, declared.description, declared.readOnly);
  const message = result.toMessage();
  const integer = type === PARAMETER_TYPE.integer;
  result.toMessage = () => ({
    ...message,
    integer_range: range && integer ? [{ from_value: BigInt(range.from), to_value: BigInt(range.to), step: 1n }] : [],
    floating_point_range: range && !integer ? [{ from_value: range.from, to_value: range.to, step: 0 }] : [],
  });
  return result;
}

/** Why a parameter may not be changed so while the node runs, as rclcpp would have it; undefined = it may. */
export function changeFault(
  node: Pick<LifecycleNode, 'hasParameter' | 'getParameter' | 'getParameterDescriptor'>,
  { name, type }: Parameter,
): string | undefined {
  if (!node.hasParameter(name)) return `Expected a parameter of this node, received ${name}`;
  if (node.getParameterDescriptor(name).readOnly) {
    return `Expected ${name} to stay as it is, for it is read-only: set it in the parameter file`;
  }
  const declared = node.getParameter(name).type;
  if (type === declared) return undefined;
  const received = type === PARAMETER_TYPE.not_set ? 'its deletion' : typeName(type);
  return `Expected ${typeName(declared)} for ${name}, received ${received}`;
}

function typeName(type: number): string {
  const name = Object.entries(PARAMETER_TYPE).find(([, number]) => number === type)?.[0] ?? `value of type ${type}`;
  return `${name.startsWith('i') ? 'an' : 'a'} ${name.replace('_', ' ')}`;
}
