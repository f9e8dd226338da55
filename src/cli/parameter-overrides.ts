import { parametersFromFile, scalarFromText } from '../config/file.js';
import { usage } from './arguments.js';

/** A parameter file with the values of `-p NAME:=VALUE` options in place of its own. */
export interface GivenParameters {
  /** By full name, with the types that ROS gives them. */
  readonly values: Map<string, unknown>;
  /** Where a parameter was given, for error messages. */
  readonly where: (name: string) => string | undefined;
}

/** @param overrides `NAME:=VALUE`. @throws ProblemsError for the file, Pi05Error USAGE for an override. */
export function givenParameters(command: string, file: string, overrides: readonly string[]): GivenParameters {
  const origins = new Map<string, string>();
  const lines = new Map<string, number>();
  const values = parametersFromFile(file, lines);
  for (const [name, line] of lines) origins.set(name, `${file} line ${line}`);
  for (const override of overrides) {
    const [, name, text] = /^([^:]+):=(.*)$/s.exec(override) ?? [];
    const value = text === undefined ? undefined : scalarFromText(text);
    if (name === undefined || value === undefined)
      throw usage(command, `Expected -p NAME:=VALUE, received ${override}`);
    values.set(name, value);
    origins.set(name, `-p ${override}`);
  }
  return { values, where: (name) => origins.get(name) };
}
