import { rejectChange } from '../parameters.js';
import { PARAMETER_TYPE } from '../rcl.js';
import type { DeclaredParameter, NewValue } from './protocol.js';

/** The field of `rcl_interfaces/msg/ParameterValue` for each `ParameterType`. */
const FIELD: Readonly<Record<number, string>> = {
  1: 'bool_value',
  2: 'integer_value',
  3: 'double_value',
  4: 'string_value',
  5: 'byte_array_value',
  6: 'bool_array_value',
  7: 'integer_array_value',
  8: 'double_array_value',
  9: 'string_array_value',
};

/** `rcl_interfaces/msg/ParameterValue`. */
export interface ValueMessage {
  readonly type: number;
  readonly [field: string]: unknown;
}

/** `rcl_interfaces/msg/Parameter` as a name, a type and a plain value. The value is undefined for a type that does not exist. */
export function newValue({ name, value }: { readonly name: string; readonly value: ValueMessage }): NewValue {
  const field = FIELD[value.type];
  const plain = field === undefined ? undefined : value[field];
  return { name, type: value.type, value: ArrayBuffer.isView(plain) ? Array.from(plain as Uint8Array) : plain };
}

function valueMessage(parameter: NewValue | undefined): ValueMessage {
  if (parameter === undefined) return { type: PARAMETER_TYPE.not_set };
  const field = FIELD[parameter.type];
  return field === undefined ? { type: parameter.type } : { type: parameter.type, [field]: parameter.value };
}

/** Characters of all strings and elements of all arrays of a message. */
export function messageSize(message: unknown): number {
  if (typeof message === 'string') return message.length;
  if (ArrayBuffer.isView(message)) return message.byteLength;
  if (Array.isArray(message)) return message.reduce((sum: number, entry) => sum + 1 + messageSize(entry), 0);
  if (typeof message !== 'object' || message === null) return 0;
  return Object.values(message).reduce((sum: number, field) => sum + messageSize(field), 0);
}

/**
 * A copy of the node's parameters, which answers the parameter services. Like rclcpp's, except that a parameter that does not
 * exist is returned as not set.
 */
export class ParameterTable {
  readonly #parameters = new Map<string, DeclaredParameter>();

  declare(parameters: readonly DeclaredParameter[]): void {
    for (const parameter of parameters) this.#parameters.set(parameter.name, parameter);
  }

  change(values: readonly NewValue[]): void {
    for (const value of values) {
      const parameter = this.#parameters.get(value.name);
      if (parameter !== undefined) this.#parameters.set(value.name, { ...parameter, ...value });
    }
  }

  get(names: readonly string[]): ValueMessage[] {
    return names.map((name) => valueMessage(this.#parameters.get(name)));
  }

  types(names: readonly string[]): number[] {
    return names.map((name) => this.#parameters.get(name)?.type ?? PARAMETER_TYPE.not_set);
  }

  describe(names: readonly string[]): object[] {
    return names.map((name) => this.#parameters.get(name)?.descriptor ?? { name });
  }

  /**
   * `rcl_interfaces/msg/ListParametersResult`.
   * @param prefixes names, or what precedes a dot in them; empty = all parameters.
   * @param depth how many parts a name may have after its prefix; 0 = any number.
   */
  list(prefixes: readonly string[], depth: number): { readonly names: string[]; readonly prefixes: string[] } {
    const within = (rest: string): boolean => depth === 0 || rest.split('.').length <= depth;
    const matches = (name: string, prefix: string): boolean =>
      name === prefix || (name.startsWith(`${prefix}.`) && within(name.slice(prefix.length + 1)));
    const names = [...this.#parameters.keys()].filter((name) =>
      prefixes.length === 0 ? within(name) : prefixes.some((prefix) => matches(name, prefix)),
    );
    const parents = names.filter((name) => name.includes('.')).map((name) => name.slice(0, name.lastIndexOf('.')));
    return { names, prefixes: [...new Set(parents)] };
  }

  /** The reason why a parameter must not be set to a value; undefined where it may be. */
  reject(given: NewValue): string | undefined {
    const declared = this.#parameters.get(given.name);
    const node = {
      hasParameter: () => declared !== undefined,
      getParameter: () => declared!,
      getParameterDescriptor: () => declared!,
    };
    return rejectChange(node, given);
  }
}
