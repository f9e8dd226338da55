import { parseArgs, type ParseArgsConfig } from 'node:util';
import { Pi05Error } from '../errors.js';

type Options = NonNullable<ParseArgsConfig['options']>;

/** `node:util`'s parseArgs with this project's errors: USAGE for anything that is not in `options`. */
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
      throw usage(
        command,
        `Expected a value after ${flag}, received what looks like an option: ${flag}=VALUE is clear`,
      );
    throw usage(command, message.replace(/\.(\s.*)?$/s, ''));
  }
}

/** A usage error that points to the command's help. */
export function usage(command: string, sentence: string): Pi05Error<'USAGE'> {
  return new Pi05Error('USAGE', `${sentence} (see pi05 ${command} --help)`);
}

/** The value of a flag that must be there. */
export function required(command: string, flag: string, value: string | undefined): string {
  if (value === undefined || value === '') throw usage(command, `Expected --${flag}, received none`);
  return value;
}

/** The value of a flag that must be one of a few. */
export function oneOf<const T extends string>(command: string, flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((name) => name === value);
  if (found === undefined) throw usage(command, `Expected --${flag} ${allowed.join('|')}, received ${value}`);
  return found;
}

/** The value of a flag that must be a whole number. */
export function whole(command: string, flag: string, value: string, least: number, most?: number): number {
  const number = /^\d+$/.test(value) ? Number(value) : NaN;
  if (!Number.isSafeInteger(number) || number < least || number > (most ?? number)) {
    const range = most === undefined ? `of at least ${least}` : `from ${least} to ${most}`;
    throw usage(command, `Expected --${flag} as a whole number ${range}, received ${value}`);
  }
  return number;
}

/** A warning on stderr. The exit status stays what it is. */
export function warn(sentence: string): void {
  process.stderr.write(`WARN: ${sentence}\n`);
}
