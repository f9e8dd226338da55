import { configFromParameters, parameterDescriptors } from '../config/parameters.js';
import type { PolicyConfig } from '../config/config.js';
import { replaceDeprecated } from '../config/deprecated.js';
import { type ParameterSection, parameterSections, scalarFromText } from '../config/file.js';
import { Problems } from '../config/problems.js';
import type { ParameterType } from '../config/schema.js';
import { Pi05Error } from '../errors.js';
import { type LifecycleNode, type Parameter, PARAMETER_TYPE, type Rcl } from './rcl.js';
import { type NodeOverrides, type Override, setRange } from './rclnodejs-internals.js';

/**
 * The overrides that apply to a node, by parameter name. As in rclcpp, entries apply in the order of the command line
 * and the last one wins; `*` in a pattern matches one part of the name and `**` any number of parts. Unlike in rclcpp,
 * a name without a slash matches that node in any namespace, and `-p name:=value` wins over parameter files that name the
 * node. Files and `-p` in `argv` are read here too: if the same name is given twice with different types, rcl keeps both values
 * and returns one by its type, not the last.
 * @param fullyQualifiedName of the node, such as `/left/policy_node`.
 * @param entries in the order of the command line, as rcl parsed it.
 * @param argv the arguments after `pi05 node`.
 */
export function overridesFor(
  fullyQualifiedName: string,
  entries: readonly NodeOverrides[],
  argv: readonly string[] = [],
): Map<string, Override> {
  const applies = (node: string): boolean => matches(fullyQualifiedName, node);
  const files = fileValues(argv, applies);
  const result = new Map<string, Override>();
  for (const { name: node, parameters } of entries) {
    if (!applies(node)) continue;
    for (const parameter of parameters) {
      const { name } = parameter;
      result.set(name, withTypeOf(files.get(node)?.get(name), parameter));
    }
  }
  const texts = commandLineTexts(argv);
  for (const { name: node, parameters } of entries) {
    if (node !== '/**') continue;
    for (const parameter of parameters) {
      const text = texts.get(parameter.name);
      if (text !== undefined) result.set(parameter.name, withTypeOf(scalarFromText(text), parameter));
    }
  }
  return result;
}

/** The values in the files of `--params-file`, by node pattern and name; of several with the same name, the last one. */
function fileValues(
  argv: readonly string[],
  applies: (node: string) => boolean,
): ReadonlyMap<string, ReadonlyMap<string, unknown>> {
  const result = new Map<string, Map<string, unknown>>();
  for (const [index, argument] of argv.entries()) {
    const path = argument === '--params-file' ? argv[index + 1] : undefined;
    if (path === undefined) continue;
    for (const { node, values } of readableSections(path, applies)) {
      result.set(node, new Map([...(result.get(node) ?? []), ...values]));
    }
  }
  return result;
}

/** None where this package's reader is stricter than rcl, whose values then stand. */
function readableSections(path: string, applies: (node: string) => boolean): readonly ParameterSection[] {
  try {
    return parameterSections(path, applies);
  } catch {
    return [];
  }
}

/** The values of `-p name:=value`, by name. rcl lists these parameters under `/**`. */
function commandLineTexts(argv: readonly string[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [index, argument] of argv.entries()) {
    const rule = ['-p', '--param'].includes(argument) ? argv[index + 1] : undefined;
    const [, name, text] = /^([^:]+):=(.*)$/s.exec(rule ?? '') ?? [];
    if (name !== undefined && text !== undefined) texts.set(name, text);
  }
  return texts;
}

/** `parameter` as rcl gave it, or with `value` where that has another type. An empty list has no type and counts as not given. */
function withTypeOf(value: unknown, parameter: Override): Override {
  const type = parameterType(value);
  if (type === undefined || type === parameter.type) return parameter;
  return { name: parameter.name, type, value: type === PARAMETER_TYPE.not_set ? undefined : value };
}

const SCALAR_TYPES: Readonly<Record<string, number>> = {
  boolean: PARAMETER_TYPE.bool,
  bigint: PARAMETER_TYPE.integer,
  number: PARAMETER_TYPE.double,
  string: PARAMETER_TYPE.string,
};
const ARRAY_TYPES: Readonly<Record<string, number>> = {
  boolean: PARAMETER_TYPE.bool_array,
  bigint: PARAMETER_TYPE.integer_array,
  number: PARAMETER_TYPE.double_array,
  string: PARAMETER_TYPE.string_array,
};

function parameterType(value: unknown): number | undefined {
  if (!Array.isArray(value)) return SCALAR_TYPES[typeof value];
  return value.length === 0 ? PARAMETER_TYPE.not_set : ARRAY_TYPES[typeof value[0]];
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
 * The values of ROS parameters as the configuration reads them: integers as bigint. Empty lists have no type and are left out.
 * @throws Pi05Error CONFIG_RANGE for an integer so large that rclnodejs has rounded it.
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
  double_array: PARAMETER_TYPE.double_array,
  string_array: PARAMETER_TYPE.string_array,
};

/**
 * Checks the parameter overrides and declares all parameters with their descriptors.
 * @param warn called with one sentence per deprecated value.
 * @throws Pi05Error CONFIG_* with all problems, one sentence per line.
 */
export function declareParameters(rcl: Rcl, node: LifecycleNode, warn: (sentence: string) => void): PolicyConfig {
  const overrides = replaceDeprecated(plainValues(node.getParameterOverrides()), warn);
  const config = checkedConfig(overrides, node.getFullyQualifiedName());
  for (const declared of parameterDescriptors(overrides)) {
    const value = overrides.get(declared.name) ?? declared.default;
    if (value === undefined) continue;
    const { name, description, readOnly, range } = declared;
    const type = TYPE_OF[declared.type];
    const descriptor = new rcl.ParameterDescriptor(name, type, description, readOnly);
    setRange(descriptor, range);
    node.declareParameter(new rcl.Parameter(name, type, value), descriptor, true);
  }
  return config;
}

/**
 * The configuration of the policy `node` for another process, which declares no parameters.
 * @param given as rcl parsed them. @param argv the arguments after the command's name.
 * @throws Pi05Error CONFIG_*.
 */
export function configFromOverrides(
  node: string,
  given: readonly NodeOverrides[],
  argv: readonly string[],
): { config: PolicyConfig; simulated: boolean } {
  // The policy reports deprecated values.
  const values = replaceDeprecated(plainValues(overridesFor(node, given, argv).values()), () => {});
  return { config: checkedConfig(values, node), simulated: values.get('use_sim_time') === true };
}

/** If the parameters describe no robot at all, the first problem says how to give a parameter file. */
function checkedConfig(overrides: ReadonlyMap<string, unknown>, node: string): PolicyConfig {
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

/** The part of a node that says whether a parameter may be changed. */
interface Declared {
  getParameterDescriptor(name: string): { readonly readOnly: boolean };
}

/** Whether a declared parameter cannot be changed. rclnodejs declares use_sim_time, and not as read-only. */
export function isReadOnly(node: Declared, name: string): boolean {
  return name === 'use_sim_time' || node.getParameterDescriptor(name).readOnly;
}

/**
 * The reason why a running node rejects a new value: an unknown or read-only parameter, another type or deletion, as in rclcpp.
 * @returns a sentence, or undefined where the change is allowed.
 */
export function rejectChange(
  node: Declared & {
    hasParameter(name: string): boolean;
    getParameter(name: string): { readonly type: number };
  },
  { name, type }: Parameter,
): string | undefined {
  if (!node.hasParameter(name)) return `Expected a parameter of this node, received ${name}`;
  if (isReadOnly(node, name)) return `Expected no change of ${name}, which is read-only: set it in the parameter file`;
  const declared = node.getParameter(name).type;
  if (type === declared) return undefined;
  const received = type === PARAMETER_TYPE.not_set ? 'its deletion' : typeName(type);
  return `Expected ${typeName(declared)} for ${name}, received ${received}`;
}

function typeName(type: number): string {
  const name = Object.entries(PARAMETER_TYPE).find(([, number]) => number === type)?.[0] ?? `value of type ${type}`;
  return `${name.startsWith('i') ? 'an' : 'a'} ${name.replace('_', ' ')}`;
}
