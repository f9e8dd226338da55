import { LIMIT, type LoggerLevel, type NewValue, type Result } from './protocol.js';
import type { NodeLink } from './node-link.js';
import { messageSize, newValue, type ParameterTable, type ValueMessage } from './parameter-table.js';

/** A service: its type in `rcl_interfaces/srv`, how a request is answered, and the answer to one that is not executed. */
export interface Service {
  readonly type: string;
  readonly answer: (request: never) => object | Promise<object>;
  readonly refuse: (reason: string) => object;
}

interface Names {
  readonly names: readonly string[];
}
interface Parameters {
  readonly parameters: readonly { readonly name: string; readonly value: ValueMessage }[];
}

const refusal = (reason: string): Result => ({ successful: false, reason });
const BUSY = refusal(`Expected at most ${LIMIT.waiting} requests at a time, received more: try again later`);
const TOO_MANY = `Expected at most ${LIMIT.together} entries to set in a request, received more`;

/** The parameter and logger services by name. Only what changes something, and logger levels, are passed to the node. */
export function parameterServices(table: ParameterTable, node: NodeLink): Readonly<Record<string, Service>> {
  const change = async (values: readonly NewValue[]): Promise<Result> => {
    const [result] = (await (node.request({ kind: 'set_parameters', values }) ?? [BUSY])) as readonly Result[];
    return result!;
  };

  /** In the order of the request, each by itself. */
  const set = async ({ parameters }: Parameters): Promise<{ results: Result[] }> => {
    const results: Result[] = [];
    let changes = 0;
    for (const value of parameters.map(newValue)) {
      const reason = table.reject(value) ?? (changes++ < LIMIT.together ? undefined : TOO_MANY);
      results.push(reason === undefined ? await change([value]) : refusal(reason));
    }
    return { results };
  };

  const setAtomically = async ({ parameters }: Parameters): Promise<{ result: Result }> => {
    const values = parameters.map(newValue);
    const rejected = values.map((value) => table.reject(value)).find((text) => text !== undefined);
    const reason = rejected ?? (values.length > LIMIT.together ? TOO_MANY : undefined);
    return { result: reason === undefined ? await change(values) : refusal(reason) };
  };

  const getLevels = async ({ names }: Names): Promise<{ levels: readonly LoggerLevel[] }> => {
    const request = names.length > LIMIT.together ? [] : node.request({ kind: 'get_logger_levels', names });
    return { levels: ((await request) ?? []) as readonly LoggerLevel[] };
  };

  const setLevels = async ({ levels }: { levels: readonly LoggerLevel[] }): Promise<{ results: readonly Result[] }> => {
    if (levels.length > LIMIT.together) return { results: levels.map(() => refusal(TOO_MANY)) };
    const results = (await node.request({ kind: 'set_logger_levels', levels })) as readonly Result[] | undefined;
    return { results: results ?? levels.map(() => BUSY) };
  };

  return {
    get_parameters: {
      type: 'GetParameters',
      answer: ({ names }: Names) => ({ values: table.get(names) }),
      refuse: () => ({ values: [] }),
    },
    get_parameter_types: {
      type: 'GetParameterTypes',
      answer: ({ names }: Names) => ({ types: table.types(names) }),
      refuse: () => ({ types: [] }),
    },
    describe_parameters: {
      type: 'DescribeParameters',
      answer: ({ names }: Names) => ({ descriptors: table.describe(names) }),
      refuse: () => ({ descriptors: [] }),
    },
    list_parameters: {
      type: 'ListParameters',
      answer: ({ prefixes, depth }: { prefixes: readonly string[]; depth: bigint | number }) => ({
        result: table.list(prefixes, Number(depth)),
      }),
      refuse: () => ({ result: { names: [], prefixes: [] } }),
    },
    set_parameters: { type: 'SetParameters', answer: set, refuse: (reason) => ({ results: [refusal(reason)] }) },
    set_parameters_atomically: {
      type: 'SetParametersAtomically',
      answer: setAtomically,
      refuse: (reason) => ({ result: refusal(reason) }),
    },
    get_logger_levels: { type: 'GetLoggerLevels', answer: getLevels, refuse: () => ({ levels: [] }) },
    set_logger_levels: {
      type: 'SetLoggerLevels',
      answer: setLevels,
      refuse: (reason) => ({ results: [refusal(reason)] }),
    },
  };
}

/** The reason why a request is not executed; undefined where it is. @param entries of the request's list. */
export function requestRefusal(request: object, entries: number): string | undefined {
  if (entries > LIMIT.entries) return `Expected at most ${LIMIT.entries} entries in a request, received ${entries}`;
  const size = messageSize(request);
  return size > LIMIT.size ? `Expected a request of at most ${LIMIT.size} characters, received ${size}` : undefined;
}
