import { Pi05Error } from '../../../src/errors.js';

/** What a fuzzer found. `wrong` has one sentence per case, with the bytes. */
export interface Findings {
  count: number;
  accepted: number;
  /** By code. */
  readonly refused: Map<string, number>;
  readonly wrong: string[];
}

export function noFindings(): Findings {
  return { count: 0, accepted: 0, refused: new Map(), wrong: [] };
}

export function countRefusal({ refused }: Findings, code: string): void {
  refused.set(code, (refused.get(code) ?? 0) + 1);
}

/** Counts a refusal; reports what is thrown without a code, and a code without a proper sentence. */
export function recordError(
  findings: Findings,
  error: unknown,
  report: (what: string) => void,
  isProper: (message: string) => boolean = isSentence,
): void {
  if (!(error instanceof Pi05Error)) report(`threw ${error instanceof Error ? error.stack : String(error)}`);
  else if (!isProper(error.message)) report(`sentence ${error.message}`);
  else countRefusal(findings, error.code as string);
}

/** A sentence of at most this many characters. */
const MAX_SENTENCE = 400;

export function isSentence(message: string): boolean {
  return /^Expected [^\n]+, received [^\n]+$/.test(message) && message.length <= MAX_SENTENCE;
}
