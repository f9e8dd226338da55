import { open, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { MCAP_MAGIC, type DecompressHandlers } from '@mcap/core';
import { Pi05Error } from '../../errors.js';
import { readAt } from './file.js';
import { McapFile } from './mcap.js';
import { readBagDirectory } from './metadata.js';
import { openSqlite } from './sqlite.js';
import type { BagFile } from './storage.js';
import { decompressFile, isZstandard } from './zstd.js';

/** The opened files of a bag. */
export interface OpenFiles {
  readonly files: readonly BagFile[];
  /** One sentence about missing files. */
  readonly damage: string | undefined;
  readonly notes: readonly string[];
}

/** @throws Pi05Error BAG_FILE. */
export async function openFiles(path: string, decompressors: DecompressHandlers): Promise<OpenFiles> {
  try {
    const isDirectory = (await stat(path)).isDirectory();
    if (!isDirectory) return { files: [await openFile(path, decompressors)], damage: undefined, notes: [] };
    return await openDirectory(path, decompressors);
  } catch (error) {
    if (error instanceof Pi05Error) throw error;
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : (error as Error).message;
    throw new Pi05Error('BAG_FILE', `Expected a bag at ${path}: ${reason}`, path);
  }
}

async function openDirectory(directory: string, decompressors: DecompressHandlers): Promise<OpenFiles> {
  const { files: names, messages, damage, notes } = await readBagDirectory(directory);
  const files: BagFile[] = [];
  try {
    for (const name of names) files.push(await openFile(join(directory, name), decompressors));
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
  const counted = files.flatMap((file) => [...file.topics.values()]).reduce((sum, { count }) => sum + count, 0);
  const isComplete = damage === undefined && files.every((file) => file.damage === undefined);
  const disagrees = isComplete && messages !== undefined && messages !== counted;
  const note = `${join(directory, 'metadata.yaml')} lists ${messages} messages, the files hold ${counted}`;
  return { files, damage, notes: disagrees ? [...notes, note] : notes };
}

/** Opens one file, after decompressing it where it ends in .zstd. If that is incomplete, the file's reader reports it. */
async function openFile(path: string, decompressors: DecompressHandlers): Promise<BagFile> {
  // Opening a pipe would block until it has a writer.
  if (!(await stat(path)).isFile()) throw new Pi05Error('BAG_FILE', `Expected a regular file at ${path}`, path);
  const handle = await open(path, 'r');
  try {
    if (!isZstandard(await firstBytes(handle))) return await openStorage(handle, path, path, decompressors);
    const decompressed = await decompressFile(handle, path);
    try {
      return await openStorage(decompressed, `/proc/self/fd/${decompressed.fd}`, path, decompressors);
    } finally {
      await decompressed.close();
    }
  } finally {
    await handle.close();
  }
}

/** Opens a file by the format of its first bytes. @param path of the same bytes as `handle`. @param name of the file for error sentences. */
async function openStorage(
  handle: FileHandle,
  path: string,
  name: string,
  decompressors: DecompressHandlers,
): Promise<BagFile> {
  const head = Buffer.from(await firstBytes(handle));
  if (head.subarray(0, MCAP_MAGIC.length).equals(Uint8Array.from(MCAP_MAGIC))) {
    return McapFile.open(path, name, decompressors);
  }
  const text = head.toString('latin1');
  if (text === 'SQLite format 3\0') return openSqlite(path, name);
  let received = 'a file of another format';
  if (head.byteLength < 16) received = head.byteLength === 0 ? 'an empty file' : `a file of ${head.byteLength} bytes`;
  if (text.startsWith('#ROSBAG V')) received = 'a bag of ROS 1, which rosbags-convert can convert';
  throw new Pi05Error('BAG_FILE', `Expected an MCAP or SQLite file of ROS 2 in ${name}, received ${received}`, name);
}

function firstBytes(handle: FileHandle): Promise<Uint8Array> {
  return readAt(handle, new Uint8Array(16), 0);
}
