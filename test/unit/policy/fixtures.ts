import { readFileSync } from 'node:fs';
import { fixture } from '../root.js';

/** A number in a JSON fixture. JSON has no NaN and no infinity. */
export type FixtureNumber = number | 'NaN' | 'Infinity' | '-Infinity';

export function numbers(values: readonly FixtureNumber[]): number[] {
  return values.map(Number);
}

/** A fixture file's content; the caller states its form. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(fixture('pi05', name), 'utf8')) as T;
}
