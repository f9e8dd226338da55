import { CdrReader } from '@foxglove/cdr';
import { Refusal } from '../errors.js';

const PLAIN_CDR_BIG_ENDIAN = 0;
const PLAIN_CDR_LITTLE_ENDIAN = 1;
const HEADER_BYTES = 4;

const strictText = new TextDecoder('utf-8', { fatal: true });
const lenientText = new TextDecoder('utf-8');

/**
 * A CDR reader with bounds checks. `CdrReader` reads past the end of its view into the rest of the buffer, so every length
 * is compared with the remaining bytes before anything is read or allocated. Bytes after the last field are ignored: rclpy's
 * `serialize_message` leaves up to 12 of them.
 */
export class BoundedReader {
  readonly #bytes: Uint8Array;
  readonly #reader: CdrReader;

  /** @throws Refusal with `code` when the encapsulation header is short or not plain CDR. */
  constructor(
    bytes: Uint8Array,
    readonly type: string,
    readonly topic: string,
    readonly code: 'IMAGE_DATA' | 'MESSAGE_DATA',
  ) {
    this.#bytes = bytes;
    if (bytes.byteLength < HEADER_BYTES) {
      throw this.refusal(`Expected at least ${HEADER_BYTES} bytes for ${type}, received ${bytes.byteLength}`);
    }
    const kind = (bytes[0]! << 8) | bytes[1]!;
    if (kind !== PLAIN_CDR_BIG_ENDIAN && kind !== PLAIN_CDR_LITTLE_ENDIAN) {
      const received = `0x${kind.toString(16).padStart(4, '0')}`;
      throw this.refusal(`Expected plain CDR (encapsulation 0x0000 or 0x0001) for ${type}, received ${received}`);
    }
    this.#reader = new CdrReader(bytes);
  }

  /** A refusal of this message. The topic is appended to `sentence`. */
  refusal(sentence: string, code = this.code): Refusal {
    return new Refusal(code, `${sentence} from ${this.topic}`, this.topic);
  }

  uint8(field: string): number {
    this.#require(1, 1, field);
    return this.#reader.uint8();
  }

  int32(field: string): number {
    this.#require(4, 4, field);
    return this.#reader.int32();
  }

  uint32(field: string): number {
    this.#require(4, 4, field);
    return this.#reader.uint32();
  }

  float64(field: string): number {
    this.#require(8, 8, field);
    return this.#reader.float64();
  }

  /** Bytes that are not UTF-8 become U+FFFD, or are refused if `strict`. */
  string(field: string, strict = false): string {
    const length = this.uint32(field);
    if (length === 0) return '';
    const bytes = this.#view(length, field);
    if (bytes[length - 1] !== 0) {
      throw this.refusal(`Expected a NUL at the end of ${field}, received ${bytes[length - 1]}`);
    }
    const text = bytes.subarray(0, length - 1);
    if (!strict) return lenientText.decode(text);
    try {
      return strictText.decode(text);
    } catch {
      throw this.refusal(`Expected UTF-8 for ${field}, received other bytes`);
    }
  }

  strings(field: string): string[] {
    return this.sequence(field, 4, (element) => this.string(element));
  }

  /** @param minBytes of one element. @param read reads one element, given its name such as `points[2]`. */
  sequence<T>(field: string, minBytes: number, read: (element: string) => T): T[] {
    const count = this.uint32(field);
    this.#require(count * minBytes, 4, field);
    const values: T[] = [];
    for (let i = 0; i < count; i++) values.push(read(`${field}[${i}]`));
    return values;
  }

  /** A `uint8[]` field as a view on the message. */
  bytes(field: string): Uint8Array {
    return this.#view(this.uint32(field), field);
  }

  float64s(field: string): Float64Array {
    const count = this.uint32(field);
    if (count > 0) this.#require(count * 8, 8, field);
    return this.#reader.float64Array(count);
  }

  #view(length: number, field: string): Uint8Array {
    this.#require(length, 1, field);
    return this.#reader.uint8Array(length);
  }

  #require(bytes: number, alignment: number, field: string): void {
    const { offset } = this.#reader;
    const start = offset + ((alignment - ((offset - HEADER_BYTES) % alignment)) % alignment);
    const remaining = Math.max(0, this.#bytes.byteLength - start);
    if (bytes > remaining)
      throw this.refusal(`Expected ${bytes} bytes for ${field} of ${this.type}, received ${remaining}`);
  }
}
