import { parseSafetensors } from '../../../src/safetensors.js';
import { type Findings, noFindings, recordError } from './findings.js';
import { mutateBytes } from './mutate.js';
import { Random } from './random.js';

const BYTES = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, U8: 1, BOOL: 1 };
const HEADER =
  '{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},' +
  '"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"i":{"dtype":"I64","shape":[1,1],"data_offsets":[32,40]},' +
  '"e":{"dtype":"U8","shape":[0],"data_offsets":[40,40]}}';
const DATA = Uint8Array.from({ length: 40 }, (_, i) => i);
const NUMBERS = [
  '-1',
  '0',
  '1',
  '1.5',
  '1e400',
  '9007199254740993',
  '4294967296',
  '24',
  '32',
  '40',
  '41',
  'null',
  '"2"',
  '[]',
];
const NAMES = ['w', 'b', 'i', 'e', 'dtype', 'shape', '__metadata__', '__proto__', 'F32', 'U8', 'F64', 'F8_E4M3', ''];

/**
 * Changes safetensors files in their header's length, its JSON (numbers, names, members twice) and their bytes. Wrong are: an exception
 * without a code, a name that is twice in the header, tensors that overlap or leave bytes out, a size that is not that of shape and type.
 */
export function fuzzSafetensors(count: number, seed: number): Findings {
  const random = new Random(seed);
  const findings = noFindings();
  for (; findings.count < count; findings.count++) {
    let header = HEADER;
    for (let i = random.below(3); i > 0; i--) header = changed(header, random);
    const length =
      random.below(10) === 0 ? random.of([0, 1, 7, 2 ** 31, 2 ** 53, 100_000_001]) : Buffer.byteLength(header);
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(length));
    const file = Buffer.concat([head, Buffer.from(header), DATA]);
    const bytes = random.below(3) === 0 ? mutateBytes(file, random) : new Uint8Array(file);
    const report = (what: string): number => findings.wrong.push(`${what}: ${Buffer.from(bytes).toString('latin1')}`);
    try {
      const wrong = contradiction(bytes);
      if (wrong !== undefined) report(wrong);
      findings.accepted++;
    } catch (error) {
      recordError(findings, error, report);
    }
  }
  return findings;
}

function changed(header: string, random: Random): string {
  const pattern = random.of([/-?\b\d+\b/g, /"[^"]*"/g, /"\w+":(?:\{[^{}]*\}|\[[^[\]]*\]|"[^"]*")/g]);
  const found = [...header.matchAll(pattern)];
  if (found.length === 0) return header;
  const { 0: text, index } = random.of(found);
  const next = (): string => {
    if (text.endsWith('"') && !text.includes(':')) return `"${random.of(NAMES)}"`;
    if (text.includes(':')) return random.of(['', `${text},${text}`, `${text},`]);
    return random.of(NUMBERS);
  };
  return header.slice(0, index) + next() + header.slice(index + text.length);
}

/** What is wrong with a file that was accepted; undefined where nothing is. @throws what reading it throws. */
function contradiction(bytes: Uint8Array): string | undefined {
  const { tensors } = parseSafetensors(bytes, 'the file');
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const text = Buffer.from(bytes.subarray(8, 8 + headerLength)).toString('utf8');
  const data = bytes.subarray(8 + headerLength);
  const names = [...text.matchAll(/"([^"\\]*)"\s*:\s*\{\s*"(?:dtype|shape|data_offsets)"/g)].map(([, name]) => name!);
  if (new Set(names).size !== names.length) return 'a name twice';
  const covered: number[] = new Array<number>(data.length).fill(0);
  for (const [name, { dtype, shape, data: values }] of tensors) {
    const elements = shape.reduce((product, length) => product * length, 1);
    if (values.length !== elements) return `${name} has ${values.length} elements`;
    const entry = (JSON.parse(text) as Record<string, { data_offsets: [number, number] }>)[name]!;
    const [begin, end] = entry.data_offsets;
    if (end - begin !== elements * BYTES[dtype]) return `${name} has ${end - begin} bytes`;
    for (let at = begin; at < end; at++) covered[at] = (covered[at] ?? NaN) + 1;
    const read = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    if (!read.equals(data.subarray(begin, end))) return `${name} has other bytes`;
  }
  return covered.every((times) => times === 1) ? undefined : 'bytes of no tensor, or of two';
}
