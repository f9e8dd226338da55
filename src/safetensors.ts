/**
 * Reads and writes complete `.safetensors` files: golden cases, statistics, traces. (Weights are read by the engine.)
 * Format: u64 little-endian header length, a JSON header, then the tensors' bytes without gaps.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { endianness } from 'node:os';
import { Pi05Error } from './errors.js';
import { excerpt, oneLine } from './format.js';

/** The array of each dtype. F16 and BF16 are kept as their bit patterns. */
export interface SafetensorsArrays {
  F64: Float64Array;
  F32: Float32Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I64: BigInt64Array;
  I32: Int32Array;
  U8: Uint8Array;
  BOOL: Uint8Array;
}
export type SafetensorsDtype = keyof SafetensorsArrays;

/** A tensor, row-major. `dtype` narrows the type of `data`. */
export type SafetensorsTensor = {
  readonly [D in SafetensorsDtype]: {
    readonly dtype: D;
    readonly shape: readonly number[];
    readonly data: SafetensorsArrays[D];
  };
}[SafetensorsDtype];

export interface SafetensorsFile {
  readonly tensors: Map<string, SafetensorsTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface ArrayType {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): SafetensorsArrays[SafetensorsDtype];
}

const ARRAYS: Readonly<Record<SafetensorsDtype, ArrayType>> = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Reads a file of up to 2 GiB. Tensors are views on the file's bytes where their offset is aligned, otherwise copies.
 * @throws Pi05Error INVALID_ARGUMENT for a file that cannot be read or is invalid.
 */
export function readSafetensors(path: string): SafetensorsFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw invalid(path, `Expected a readable .safetensors file, received ${(error as Error).message}`);
  }
  return parseSafetensors(bytes, path);
}

/** As `readSafetensors`, from memory. @param source names the bytes in errors. */
export function parseSafetensors(bytes: Uint8Array, source: string): SafetensorsFile {
  if (endianness() !== 'LE') throw invalid(source, 'Expected a little-endian machine to read .safetensors files');
  const { header, start } = parseHeader(bytes, source);
  const available = bytes.byteLength - start;
  const tensors = new Map<string, SafetensorsTensor>();
  let metadata: Record<string, string> = {};
  const extents: { name: string; begin: number; end: number }[] = [];

  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = parseMetadata(entry, source);
      continue;
    }
    const { dtype, shape, begin, end } = parseEntry(name, entry, source);
    if (end > available) {
      throw invalid(source, `Expected ${end} bytes of tensor data for ${name}, received ${available} from ${source}`);
    }
    const array = ARRAYS[dtype];
    const length = elementCount(shape);
    const offset = bytes.byteOffset + start + begin;
    const data =
      offset % array.BYTES_PER_ELEMENT === 0
        ? new array(bytes.buffer, offset, length)
        : new array(bytes.buffer.slice(offset, offset + end - begin), 0, length);
    tensors.set(name, { dtype, shape, data } as SafetensorsTensor);
    extents.push({ name, begin, end });
  }

  let covered = 0;
  for (const { name, begin, end } of extents.sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) {
      throw invalid(source, `Expected ${name} to begin at byte ${covered}, received ${begin} from ${source}`);
    }
    covered = end;
  }
  if (covered !== available) {
    throw invalid(source, `Expected ${covered} bytes of tensor data, received ${available} from ${source}`);
  }
  return { tensors, metadata };
}

/**
 * Writes tensors so that each is aligned in the file: sorted by element size, largest first, otherwise in the given order.
 * Deterministic. @throws Pi05Error INVALID_ARGUMENT where shape and data disagree, or the file cannot be written.
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, SafetensorsTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  if (endianness() !== 'LE') throw invalid(path, 'Expected a little-endian machine to write .safetensors files');
  const header = Object.create(null) as Record<string, unknown>;
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  const parts: Uint8Array[] = [];
  let offset = 0;
  const size = (tensor: SafetensorsTensor): number => ARRAYS[tensor.dtype].BYTES_PER_ELEMENT;
  for (const [name, tensor] of [...tensors].sort((a, b) => size(b[1]) - size(a[1]))) {
    const { dtype, shape, data } = tensor;
    if (name === '__metadata__' || name in header) {
      throw invalid(path, `Expected each tensor name once, received ${name} twice`);
    }
    if (elementCount(shape) !== data.length) {
      throw invalid(
        path,
        `Expected ${elementCount(shape)} values for ${name} [${shape.join(', ')}], received ${data.length}`,
      );
    }
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const padded = Math.ceil(json.length / 8) * 8;
  const head = Buffer.alloc(8 + padded, ' ');
  head.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(head, 8);
  try {
    const file = openSync(path, 'w');
    try {
      for (const part of [head, ...parts]) {
        for (let done = 0; done < part.byteLength;) done += writeSync(file, part, done);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw invalid(path, `Expected a writable .safetensors file, received ${(error as Error).message}`);
  }
}

function parseHeader(bytes: Uint8Array, source: string): { header: Record<string, unknown>; start: number } {
  if (bytes.byteLength < 8) {
    throw invalid(source, `Expected at least 8 bytes, received ${bytes.byteLength} from ${source}`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(Math.min(MAX_HEADER_BYTES, bytes.byteLength - 8))) {
    throw invalid(
      source,
      `Expected a header within ${bytes.byteLength} bytes, received a length of ${length} from ${source}`,
    );
  }
  const start = 8 + Number(length);
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start));
    header = JSON.parse(text);
  } catch (error) {
    throw invalid(source, `Expected a JSON header, received ${oneLine((error as Error).message)} from ${source}`);
  }
  if (!isObject(header))
    throw invalid(source, `Expected a JSON object as header, received another value from ${source}`);
  const repeated = repeatedName(text);
  if (repeated !== undefined) {
    throw invalid(
      source,
      `Expected each name once in the header, received ${excerpt(oneLine(repeated))} twice from ${source}`,
    );
  }
  return { header, start };
}

/** A name that an object in a valid JSON text has twice: `JSON.parse` keeps the last one without an error. */
function repeatedName(json: string): string | undefined {
  const objects: Set<string>[] = [];
  const colon = /\s*:/y;
  for (const { 0: token, index } of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    colon.lastIndex = index + token.length;
    if (token === '{') objects.push(new Set());
    else if (token === '}') objects.pop();
    else if (colon.test(json)) {
      const name = JSON.parse(token) as string;
      if (objects.at(-1)!.has(name)) return name;
      objects.at(-1)!.add(name);
    }
  }
  return undefined;
}

function parseMetadata(entry: unknown, source: string): Record<string, string> {
  if (!isObject(entry) || Object.values(entry).some((value) => typeof value !== 'string')) {
    throw invalid(source, `Expected __metadata__ to hold strings by name, received something else from ${source}`);
  }
  return entry as Record<string, string>;
}

function parseEntry(
  name: string,
  entry: unknown,
  source: string,
): { dtype: SafetensorsDtype; shape: number[]; begin: number; end: number } {
  if (!isObject(entry) || !isArrayOfNaturals(entry['shape']) || !isArrayOfNaturals(entry['data_offsets'])) {
    throw invalid(source, `Expected dtype, shape and data_offsets for ${name}, received something else from ${source}`);
  }
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !Object.hasOwn(ARRAYS, dtype)) {
    const known = Object.keys(ARRAYS).join(', ');
    throw invalid(source, `Expected a dtype of ${known} for ${name}, received ${String(dtype)} from ${source}`);
  }
  const [begin, end] = offsets;
  const expected = elementCount(shape) * ARRAYS[dtype as SafetensorsDtype].BYTES_PER_ELEMENT;
  if (offsets.length !== 2 || begin === undefined || end === undefined || end - begin !== expected) {
    const range = `[${shape.join(', ')}], received the range [${offsets.join(', ')}]`;
    throw invalid(source, `Expected ${expected} bytes for ${name} ${dtype} ${range} from ${source}`);
  }
  return { dtype: dtype as SafetensorsDtype, shape, begin, end };
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isArrayOfNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function invalid(source: string, message: string): Pi05Error<'INVALID_ARGUMENT'> {
  return new Pi05Error('INVALID_ARGUMENT', message, source);
}
