import { readFileSync } from 'node:fs';
import { fixture } from '../root.js';

/** A number as the fixtures spell it. */
export type Spelled = number | 'NaN' | 'Infinity' | '-Infinity';

export function numbers(spelled: readonly Spelled[]): number[] {
  return spelled.map(Number);
}

/** A fixture file's content; the caller states its form. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(fixture('pi05', name), 'utf8')) as T;
}
