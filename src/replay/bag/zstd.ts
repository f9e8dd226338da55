import { open, rm, type FileHandle } from 'node:fs/promises';
import { readSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ZSTDDecoder } from 'zstddec/stream';
import { Pi05Error } from '../../errors.js';
import { viewOf } from './mcap-records.js';

/** The two compression modes of rosbag2: whole files, and each message by itself. MCAP chunks have their own. */

const MAGIC = 0xfd2fb528;
const PIECE = 1 << 18;
/** A message with a larger size in its header counts as damaged. */
const MAX_MESSAGE_BYTES = 2 ** 30;

export function isZstandard(bytes: Uint8Array): boolean {
  return bytes.byteLength >= 4 && viewOf(bytes).getUint32(0, true) === MAGIC;
}

/**
 * Decompresses a file, or as much of it as is intact, into an unlinked file in the temporary directory, which is deleted when
 * its handle is closed.
 * @param name of the file for error sentences. @throws Pi05Error BAG_FILE where the temporary directory is full.
 */
export async function decompressFile(source: FileHandle, name: string): Promise<FileHandle> {
  const decoder = new ZSTDDecoder();
  await decoder.init();
  const temporary = join(tmpdir(), `pi05-${randomUUID()}`);
  let target: FileHandle | undefined;
  try {
    target = await open(temporary, 'wx+', 0o600);
    await rm(temporary);
    for (const piece of decompressed(decoder, source)) await target.writeFile(piece);
    return target;
  } catch (error) {
    await target?.close();
    const problem = `Expected free space in ${tmpdir()} to decompress ${name}: ${(error as Error).message}`;
    throw new Pi05Error('BAG_FILE', problem, name);
  }
}

/** The decompressed bytes up to the end or the first damage. */
function* decompressed(decoder: ZSTDDecoder, source: FileHandle): Generator<Uint8Array, void, void> {
  let pieces = 0;
  function* compressed(): Generator<Uint8Array, void, void> {
    for (;;) {
      const piece = Buffer.allocUnsafeSlow(PIECE);
      const length = readSync(source.fd, piece, 0, PIECE, pieces * PIECE);
      if (length === 0) return;
      pieces++;
      yield piece.subarray(0, length);
    }
  }
  const output = decoder.decodeStreaming(compressed());
  for (let seen = 0; ; seen = pieces) {
    const step = nextOf(output);
    if (step === undefined) return;
    // The decoder does not report damage: it reads no further piece and returns empty steps forever.
    if (step.byteLength === 0 && seen === pieces) return;
    yield step;
  }
}

/** The decoder throws at the end of an incomplete frame. */
function nextOf(output: Generator<Uint8Array>): Uint8Array | undefined {
  try {
    const step = output.next();
    return step.done === true ? undefined : step.value;
  } catch {
    return undefined;
  }
}

/** The decompressed size of a Zstandard frame, bytes; undefined where its header has none. RFC 8878, 3.1.1.1. */
export function contentSize(frame: Uint8Array): number | undefined {
  if (frame.byteLength < 6) return undefined;
  const descriptor = frame[4]!;
  const isSingle = (descriptor & 0x20) !== 0;
  const size = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const start = 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  if (size === 0 || start + size > frame.byteLength) return undefined;
  const view = viewOf(frame);
  if (size === 1) return view.getUint8(start);
  if (size === 2) return view.getUint16(start, true) + 256;
  const low = view.getUint32(start, true);
  return size === 4 ? low : view.getUint32(start + 4, true) * 2 ** 32 + low;
}

/** Decompresses one message. @param zstd decompresses to a known size. @throws Error for damaged bytes. */
export function decompressMessage(
  frame: Uint8Array,
  zstd: (bytes: Uint8Array, size: bigint) => Uint8Array,
): Uint8Array {
  const size = contentSize(frame);
  if (size === undefined || size > MAX_MESSAGE_BYTES) throw new Error(`a frame of ${size ?? 'unknown'} bytes`);
  const bytes = zstd(frame, BigInt(size));
  if (bytes.byteLength !== size) throw new Error(`${bytes.byteLength} bytes instead of ${size}`);
  return bytes;
}
