import { readFileSync } from 'node:fs';
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Pair, parseDocument, type Scalar } from 'yaml';
import { errorMessage, Pi05Error } from '../errors.js';
import type { PolicyConfig } from './config.js';
import { configFromParameters } from './parameters.js';
import { Problems } from './problems.js';

/** The node's name, as in parameter files. */
export const NODE_NAME = 'policy_node';

/**
 * The configuration in a ROS 2 parameter file: the parameters for `/**`, `/*` and the policy node, applied in the order of
 * the file. Values have the types that ROS's own parser gives them.
 * @param warn gets a sentence for each deprecated value. @throws ProblemsError with every problem.
 */
export function configFromFile(path: string, warn?: (sentence: string) => void): PolicyConfig {
  const lines = new Map<string, number>();
  const flat = parametersFromFile(path, lines);
  const where = (name: string): string | undefined => {
    const line = lines.get(name);
    return line === undefined ? undefined : `${path} line ${String(line)}`;
  };
  return configFromParameters(flat, where, warn);
}

/** The parameters in a ROS 2 parameter file by full name. @param lines is filled with the line of each. */
export function parametersFromFile(path: string, lines = new Map<string, number>()): Map<string, unknown> {
  const sections = parameterSections(path, isPolicyNode, lines);
  if (sections.length === 0) {
    throw new Pi05Error(
      'CONFIG_FILE',
      `Expected parameters for ${NODE_NAME} (${NODE_NAME}: or /**:, and below it ros__parameters:) in ${path}, received none`,
      path,
    );
  }
  return new Map(sections.flatMap(({ values }) => [...values]));
}

/** The parameters below one `ros__parameters:` of a file. */
export interface ParameterSection {
  /** The node's name or pattern, as in the file: `policy_node`, `/left/policy_node`, `/**`. */
  readonly node: string;
  /** By full name; an empty list is an empty array. */
  readonly values: ReadonlyMap<string, unknown>;
}

/**
 * The sections of a ROS 2 parameter file, in its order. @param wanted whether a section is read, by its node.
 * @param lines is filled with the line of each parameter. @throws ProblemsError CONFIG_FILE.
 */
export function parameterSections(
  path: string,
  wanted: (node: string) => boolean,
  lines = new Map<string, number>(),
): ParameterSection[] {
  const counter = new LineCounter();
  // The failsafe schema keeps every scalar a string, because ROS's types differ from YAML's.
  const document = parseDocument(readText(path), { schema: 'failsafe', lineCounter: counter });
  const problems = new Problems();
  const sections: ParameterSection[] = [];
  const lineOf = (offset: number | undefined): number => counter.linePos(offset ?? 0).line;
  const addProblem = (expected: string, offset: number | undefined): void => {
    problems.add('CONFIG_FILE', `Expected ${expected} at ${path} line ${String(lineOf(offset))}`, path);
  };

  /** The value of a YAML node. Adds a problem and returns undefined if it is not a value. */
  const parseValue = (node: unknown, offset: number | undefined): unknown => {
    if (isScalar(node)) {
      const typed = rosValue(node);
      if (typed === undefined) addProblem('a value', node.range?.[0] ?? offset);
      return typed;
    }
    if (!isSeq(node)) {
      addProblem(isAlias(node) ? 'no aliases, which ROS rejects,' : 'a value', offset);
      return undefined;
    }
    const items = node.items.map((item) => (isScalar(item) ? rosValue(item) : undefined));
    if (items.some((item) => item === undefined || typeof item !== typeof items[0])) {
      const booleans = node.items.filter((_, i) => typeof items[i] === 'boolean').map(String);
      const hint = booleans.length === 0 ? '' : ` (${booleans.join(', ')} unquoted: a boolean)`;
      addProblem(`values of one type in a list${hint}`, node.range?.[0]);
    }
    return items;
  };
  const flatten = (pairs: readonly Pair[], prefix: string, flat: Map<string, unknown>): void => {
    for (const pair of pairs) {
      const offset = isScalar(pair.key) ? pair.key.range?.[0] : undefined;
      const name = prefix + keyText(pair);
      if (isMap(pair.value)) {
        flatten(pair.value.items, `${name}.`, flat);
      } else {
        const value = parseValue(pair.value, offset);
        if (value === undefined) continue;
        flat.set(name, value);
        lines.set(name, lineOf(offset));
      }
    }
  };
  /** Namespaces may be nested maps: `robot: {policy_node: {ros__parameters: …}}`. */
  const visit = (pairs: readonly Pair[], path: string): void => {
    for (const pair of pairs) {
      const key = keyText(pair);
      const offset = isScalar(pair.key) ? pair.key.range?.[0] : undefined;
      if (key === 'ros__parameters') {
        if (!wanted(path)) continue;
        const values = new Map<string, unknown>();
        sections.push({ node: path, values });
        if (isMap(pair.value)) flatten(pair.value.items, '', values);
        else addProblem('parameters under ros__parameters', offset);
      } else if (isMap(pair.value)) {
        visit(pair.value.items, path === '' ? key : `${path}/${key.replace(/^\//, '')}`);
      } else {
        addProblem(`ros__parameters under ${path === '' ? key : path}`, offset);
      }
    }
  };

  for (const error of document.errors) {
    problems.add('CONFIG_FILE', `Expected YAML in ${path}, received: ${error.message.split('\n')[0] ?? ''}`, path);
  }
  problems.throwIfAny();
  if (isMap(document.contents)) visit(document.contents.items, '');
  problems.throwIfAny();
  return sections;
}

/** A value of the command line (`-p name:=TEXT`), with the type that ROS gives it; undefined where it is not a scalar. */
export function scalarFromText(text: string): string | boolean | bigint | number | undefined {
  const { contents, errors } = parseDocument(text, { schema: 'failsafe' });
  return errors.length === 0 && isScalar(contents) ? rosValue(contents) : undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = errorMessage(error);
    throw new Pi05Error('CONFIG_FILE', `Expected a parameter file at ${path}, received: ${reason}`, path);
  }
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

/** Whether a node path in the file applies to the policy node. The namespace is ignored, since a replay has none. */
function isPolicyNode(path: string): boolean {
  return ['**', '*', NODE_NAME].includes(path.split('/').at(-1) ?? '');
}

const TRUE = /^(?:[Yy]|yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(?:[Nn]|no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const INTEGER = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/;
const INFINITE = /^([+-]?)(?:\.inf|\.Inf|\.INF|[Ii][Nn][Ff](?:[Ii][Nn][Ii][Tt][Yy])?)$/;
const NOT_A_NUMBER = /^(?:\.nan|\.NaN|\.NAN|[+-]?[Nn][Aa][Nn])$/;
const DOUBLE = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

/**
 * A scalar with the type that ROS gives it (`rcl_yaml_param_parser`, parse.c). Quoted = string; otherwise the first that
 * matches of boolean, integer as `strtol` reads it (also 0x… and 0…), double, string. Undefined for an empty scalar.
 */
function rosValue(scalar: Scalar): string | boolean | bigint | number | undefined {
  const text = scalar.value as string;
  if (scalar.type !== 'PLAIN') return text;
  if (text === '') return undefined;
  if (TRUE.test(text)) return true;
  if (FALSE.test(text)) return false;
  const integer = INTEGER.exec(text);
  if (integer !== null) {
    const [, sign, digits = '0'] = integer;
    const magnitude = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
    const value = sign === '-' ? -magnitude : magnitude;
    if (BigInt.asIntN(64, value) === value) return value;
  }
  const infinite = INFINITE.exec(text);
  if (infinite !== null) return infinite[1] === '-' ? -Infinity : Infinity;
  if (NOT_A_NUMBER.test(text)) return NaN;
  const double = DOUBLE.test(text) ? Number(text) : NaN;
  return Number.isFinite(double) ? double : text;
}
