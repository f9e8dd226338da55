import { parseArgs, type ParseArgsConfig } from 'node:util';
import { Pi05Error } from '../errors.js';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * `node:util`'s parseArgs with errors of this project.
 * @param positionals how many arguments without a flag are allowed. @throws Pi05Error USAGE.
 */
export function parse<const T extends Options>(command: string, argv: string[], options: T, positionals = 0) {
  try {
    const parsed = parseArgs({ args: argv, options, allowPositionals: true, strict: true });
    if (parsed.positionals.length > positionals) {
      throw new Error(`Unexpected argument '${parsed.positionals[positionals]}'`);
    }
    return parsed;
  } catch (error) {
    const { message } = error as Error;
    const [, flag] = /^Option '(--[\w-]+)' argument is ambiguous/.exec(message) ?? [];
    if (flag !== undefined)
      throw usage(command, `Expected a value after ${flag}, received what looks like an option: write ${flag}=VALUE`);
    throw usage(command, message.replace(/\.(\s.*)?$/s, ''));
  }
}

/** A usage error with a reference to the command's help. */
export function usage(command: string, sentence: string): Pi05Error<'USAGE'> {
  return new Pi05Error('USAGE', `${sentence} (see pi05 ${command} --help)`);
}

/** The value of a required flag. @throws Pi05Error USAGE. */
export function required(command: string, flag: string, value: string | undefined): string {
  if (value === undefined || value === '') throw usage(command, `Expected --${flag}, received none`);
  return value;
}

/** The value of a flag that must be one of `allowed`. @throws Pi05Error USAGE. */
export function oneOf<const T extends string>(command: string, flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((name) => name === value);
  if (found === undefined) throw usage(command, `Expected --${flag} ${allowed.join('|')}, received ${value}`);
  return found;
}

/** The value of a flag that must be an integer from `least` to `most`. @throws Pi05Error USAGE. */
export function integer(command: string, flag: string, value: string, least: number, most?: number): number {
  const number = /^\d+$/.test(value) ? Number(value) : NaN;
  if (!Number.isSafeInteger(number) || number < least || number > (most ?? number)) {
    const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`;
    throw usage(command, `Expected --${flag} as an integer ${range}, received ${value}`);
  }
  return number;
}

/** A warning on stderr, which does not change the exit status. */
export function warn(sentence: string): void {
  process.stderr.write(`WARN: ${sentence}\n`);
}
