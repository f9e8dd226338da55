import type { Place } from './cdr-reference.js';
import type { Random } from './random.js';

/** Lengths and numbers at which something changes. */
const WORDS = [0, 1, 2, 3, 4, 7, 8, 255, 256, 65535, 65536, 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 8, 2 ** 32 - 1];
const NUMBERS = [NaN, Infinity, -Infinity, -0, 5e-324, Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 53, 1e9];
/** Not UTF-8: a byte that cannot begin a character, one cut off, a surrogate, an overlong NUL, beyond U+10FFFF. */
const INVALID_TEXT = [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x00]];

/** Bytes changed at random: one to three changes that any file format may suffer. */
export function mutateBytes(good: Uint8Array, random: Random): Uint8Array {
  let bytes = Uint8Array.from(good);
  for (let i = random.below(3); i >= 0 && bytes.length > 0; i--) bytes = mutateOnce(bytes, random);
  return bytes;
}

function mutateOnce(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (random.below(8)) {
    case 0:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      bytes[at] = random.of([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
      return bytes;
    case 2:
      if (bytes.length >= 4)
        view.setUint32(Math.min(at & ~3, bytes.length - 4), random.of(WORDS), random.below(2) === 0);
      return bytes;
    case 3:
      return bytes.slice(0, at);
    case 4:
      bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
      return bytes;
    case 5:
      return joined(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random.below(16))));
    case 6:
      return joined(bytes.subarray(0, at), bytes.slice(at, at + 1 + random.below(16)), bytes.subarray(at));
    default:
      bytes.fill(random.of([0, 0xff]), at, at + 1 + random.below(32));
      return bytes;
  }
}

/** A CDR message with changed structure: lengths, numbers, text, encapsulation, or bytes changed at random. */
export function mutateCdr(good: Uint8Array, places: readonly Place[], random: Random): Uint8Array {
  const bytes = Uint8Array.from(good);
  const littleEndian = bytes[1] === 1;
  const view = new DataView(bytes.buffer);
  if (places.length === 0) return mutateBytes(bytes, random);
  for (let i = random.below(3); i >= 0; i--) {
    if (random.below(3) === 0) return mutateBytes(bytes, random);
    const { kind, offset, size } = random.of(places);
    if (kind === 'length') {
      const length = view.getUint32(offset, littleEndian);
      const near = (length + random.of([-8, -4, -1, 1, 4, 8])) >>> 0;
      view.setUint32(offset, random.of([near, near, random.of(WORDS)]), littleEndian);
    } else if (kind === 'float64') {
      view.setFloat64(offset, random.of(NUMBERS), littleEndian);
    } else if (kind === 'text') {
      bytes.set(random.of(INVALID_TEXT).slice(0, size), offset + random.below(Math.max(1, size - 4)));
    } else if (kind === 'uint8') {
      bytes[offset + random.below(size)] = random.below(256);
    } else {
      view.setUint32(offset, random.of([...WORDS, 999_999_999, 1_000_000_000]), littleEndian);
    }
    if (random.below(16) === 0) {
      bytes[random.below(2)] = random.below(12);
    }
  }
  return bytes;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}
