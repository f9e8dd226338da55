import { isDeepStrictEqual } from 'node:util';
import { Refusal } from '../../../src/errors.js';
import { readReference, type TypeName } from './cdr-reference.js';
import { CDR_TARGETS } from './cdr-targets.js';
import { countRefusal, type Findings, isSentence, noFindings } from './findings.js';
import { mutateCdr } from './mutate.js';
import { Random } from './random.js';

const TOPIC = '/fuzz/topic';
/** Follows each message in its buffer, so that reading past the end finds something. */
const MARGIN = 64;

/**
 * Decodes `count` changed messages of a type. Wrong are: an exception without a code, a long or shapeless sentence, a message that is
 * refused although the second reader reads it, one that is accepted although it does not, and other values than that reader's.
 * @param onAccepted receives the bytes of each accepted message.
 */
export function fuzzCdr(
  type: TypeName,
  count: number,
  seed: number,
  onAccepted: (cdr: Uint8Array) => void = () => {},
): Findings {
  const { samples, decode, expected } = CDR_TARGETS[type];
  const random = new Random(seed);
  const findings = noFindings();
  const seeds = samples.map((good) => ({ good, places: readReference(type, good)!.places }));
  for (; findings.count < count; findings.count++) {
    const { good, places } = random.of(seeds);
    const mutated = mutateCdr(good, places, random);
    const buffer = Buffer.alloc(mutated.length + 2 * MARGIN, 1);
    buffer.set(mutated, MARGIN);
    const cdr = buffer.subarray(MARGIN, MARGIN + mutated.length);
    const reading = readReference(type, cdr);
    const right = reading === undefined ? undefined : expected(reading.value, cdr.length);
    const report = (what: string): number => findings.wrong.push(`${what}: ${cdr.toString('hex')}`);
    let value: unknown;
    try {
      value = decode(cdr, TOPIC);
    } catch (error) {
      if (!(error instanceof Refusal)) report(`threw ${String(error)}`);
      else if (!isSentence(error.message) || error.source !== TOPIC) report(`sentence ${error.message}`);
      else if (right !== undefined) report(`refused (${error.message}), although it is valid`);
      else countRefusal(findings, error.code);
      continue;
    }
    findings.accepted++;
    if (right === undefined) report('accepted, although it is not valid');
    else if (!isDeepStrictEqual(plain(value), plain(right))) report('read other values');
    else onAccepted(cdr);
  }
  return findings;
}

/** The same with arrays in place of typed arrays and buffers, whose prototypes differ. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as Float64Array);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}
